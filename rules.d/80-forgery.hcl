# Log lines that a caller forged to have another address banned. The guard does not
# believe them; the lines around them name the sender of the request that FreeSWITCH was
# logging. That sender may be forged as well: hence the short first ban and the brake. A
# mod_verto login with a user name of more than 8 KB can make the guard name the wrong
# sender: if the log is your only source, leave mod_verto.c out of it, as
# sources/logfile/README.md shows. The event socket cannot be forged and needs no such rule.
rule "log forgery" {
  on    = local.logs
  match = "event == 'log_forgery'"

  threshold {
    count  = 3
    within = "10m"
  }

  ban {
    for    = ["10m", "1d", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the third forged line in just under ten minutes" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.7"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 3
      every  = "299s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a line that looks odd now and then, never three in ten minutes" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.7"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 20
      every  = "301s"
    }
    bans = {}
  }
}
