# Lines that a caller wrote into FreeSWITCH's log to have others banned. What they say is
# not believed; who sent what FreeSWITCH was writing about is told by the lines around
# them. He may have forged the sender of his packet as well: hence the short first ban
# and the brake. A login of mod_verto with a user name of more than 8 KB can have somebody
# else named: where the log is all that you have, leave mod_verto.c out of it, as README.md
# shows. The event socket knows no such lines, and needs no such rule.
rule "log forgery" {
  on    = [source.log.freeswitch]
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
