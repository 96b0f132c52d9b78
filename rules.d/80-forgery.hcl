# Lines that a caller wrote into FreeSWITCH's log to have others banned. What they say is
# not believed; who sent what FreeSWITCH was writing about is told by the lines around
# them. He may have forged the sender of his packet as well: hence the short first ban
# and the brake. The event socket knows no such lines, and needs no such rule.
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

  test "three forged lines" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.7"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
      times  = 3
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "one line that looked odd" {
    given {
      event  = "log_forgery"
      ip     = "203.0.113.7"
      fields = { claimed_event = "auth_failure", claimed_ip = "198.51.100.30" }
    }
    bans = {}
  }
}
