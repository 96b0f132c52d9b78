# Addresses refused by an access list of FreeSWITCH. There is no event for it: the event
# socket delivers it as a log record.

# REGISTER or INVITE from an address that no list of the profile or user allows. Needs
# `apply-register-acl` or `apply-inbound-acl` (with auth-calls=false) in the profile, or
# `auth-acl` for the user. One forged packet is one rejection: hence the short first ban
# and the brake. A carrier that calls from an unlisted address is banned too: add it to
# the list, then unban it.
rule "acl rejection" {
  on    = local.reports
  match = "event == 'acl_reject'"

  threshold {
    count  = 5
    within = "10m"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 100
    within = "10m"
  }

  test "the fifth call to a closed trunk in just under ten minutes" {
    given {
      source = local.logs
      line   = "2026-11-22 22:15:41.241852 57.53% [WARNING] sofia.c:10679 IP 203.0.113.6 Rejected by acl \"trusted\""
      times  = 5
      every  = "149s"
    }
    bans = { "203.0.113.6" = "10m" }
  }

  test "a carrier that fails over to a wrong profile now and then" {
    given {
      event = "acl_reject"
      ip    = "203.0.113.6"
      times = 50
      every = "151s"
    }
    bans = {}
  }
}

# Connections to the event socket from outside its access list. Three are no accident:
# access to the socket means control of the switch. They arrive over TCP, so the sender
# cannot be forged. Needs `apply-inbound-acl` in event_socket.conf. FreeSWITCH does not
# report wrong passwords there.
rule "event socket" {
  on    = local.reports
  match = "event == 'esl_denied'"

  threshold {
    count  = 3
    within = "10m"
  }

  ban {
    for    = ["1d", "7d"]
    forget = "30d"
  }

  test "the third knock in just under ten minutes" {
    given {
      source = local.logs
      line   = "2026-11-22 22:15:51.961851 71.97% [WARNING] mod_event_socket.c:2682 IP ::ffff:203.0.113.65 Rejected by acl \"esl_clients\""
      times  = 3
      every  = "299s"
    }
    bans = { "203.0.113.65" = "1d" }
  }

  test "a little slower, never three in ten minutes" {
    given {
      event = "esl_denied"
      ip    = "203.0.113.65"
      times = 20
      every = "301s"
    }
    bans = {}
  }
}

# Requests with a malformed authorization header, sent by broken tools or to find bugs. The
# wire reports those without a digest, too, of any method. One forged packet is enough:
# hence the short first ban and the brake.
rule "malformed authorization" {
  on    = local.switch
  match = "event == 'auth_malformed'"

  threshold {
    count  = 5
    within = "10m"
  }

  ban {
    for    = ["10m", "2h", "1d"]
    forget = "30d"
  }

  brake {
    bans   = 100
    within = "10m"
  }

  test "the fifth in just under ten minutes" {
    given {
      source = local.logs
      line   = "2026-11-22 22:16:05.661853 5.17% [ERR] sofia_reg.c:1437 Can not do authorization without a complete header in REGISTER request from 198.51.100.231:56325"
      times  = 5
      every  = "149s"
    }
    bans = { "198.51.100.231" = "10m" }
  }

  test "a phone with a flaw, never five in ten minutes" {
    given {
      event = "auth_malformed"
      ip    = "198.51.100.231"
      times = 50
      every = "151s"
    }
    bans = {}
  }
}
