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

# Forged lines of many senders: one attacker that forges the senders of its packets, or has many
# addresses. Each stays below the rule above. Look at what the lines claim, and at the addresses
# that they claim it of: the attacker wants them banned.
rule "forgery by many senders" {
  on    = local.logs
  match = "event == 'log_forgery'"

  threshold {
    per      = "event"
    distinct = "ip"
    count    = 20
    within   = "1h"
  }

  alert {}

  test "a line each of twenty senders in just under an hour" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.<n>"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 20
      every  = "189s"
    }
    alerts = ["203.0.113.20"]
  }

  test "a line of 250 senders within minutes is one alert" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.<n>"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 250
    }
    alerts = ["203.0.113.20"]
  }

  test "lines that look odd now and then, of nineteen senders" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.<n>"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 19
      every  = "10s"
    }
    given {
      event  = "log_forgery"
      ip     = "203.0.113.1"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 5
      every  = "11m"
    }
    alerts = []
  }
}
