# What only the wire shows: SIP messages that FreeSWITCH answers or drops without a report.
# Attack tools by their name are in 40-scanners.hcl, passwords in 10-guessing.hcl, and
# challenges in 20-enumeration.hcl and 50-floods.hcl: those rules read the wire as well.
#
# The sender of a datagram may be forged: hence short bans and brakes. An address that
# completed a dialogue in the last 24 hours is never banned for what anyone can send in its
# name: a phone that logged in, a carrier with a call that was answered. So the thresholds
# can be low: they concern addresses that never had an answer that suits them.

# A toolkit of dialers by its name, at its first packet: an OPTIONS or an INVITE of sipcli,
# or of a program made with VaxSIP. A REGISTER does not count: honest softphones made with
# VaxSIP register, and three wrong passwords ban them in 40-scanners.hcl.
#
# An honest sipcli that calls without having registered is banned: let it register first,
# or trust its address.
rule "toolkit that looks around" {
  on     = local.wires
  match  = "event == 'sip_request' and method != 'REGISTER' and user_agent matches `(?i)^sipcli|vax(sip|ip)useragent`"
  reason = "user agent <user_agent>"

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 100
    within = "10m"
  }

  test "one OPTIONS" {
    given {
      event      = "sip_request"
      method     = "OPTIONS"
      user_agent = "VaxSIPUserAgent/3.5"
      ip         = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "one INVITE" {
    given {
      event       = "sip_request"
      method      = "INVITE"
      destination = "000972592367869"
      user_agent  = "sipcli/v1.8"
      ip          = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a softphone that registers, and a health check" {
    given {
      event      = "sip_request"
      method     = "REGISTER"
      user_agent = "VaxSIPUserAgent/3.5"
      ip         = "203.0.113.30"
      times      = 20
    }
    given {
      event      = "sip_request"
      method     = "OPTIONS"
      user_agent = "sipsak 0.9.8.1"
      ip         = "203.0.113.31"
      times      = 20
    }
    bans = {}
  }
}

# OPTIONS for ten users within a minute: a scan for extensions. A peer that pings names one
# user, or none. A switch that checks ten of its own registrations here does the same:
# trust it, or make it a gateway.
rule "options sweep" {
  on    = local.wires
  match = "event == 'sip_request' and method == 'OPTIONS'"

  threshold {
    distinct = "destination"
    count    = 10
    within   = "1m"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 50
    within = "10m"
  }

  test "the tenth user in just under a minute" {
    given {
      event       = "sip_request"
      method      = "OPTIONS"
      destination = "10<n>"
      ip          = "203.0.113.7"
      times       = 10
      every       = "6600ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never ten in a minute" {
    given {
      event       = "sip_request"
      method      = "OPTIONS"
      destination = "10<n>"
      ip          = "203.0.113.7"
      times       = 50
      every       = "6700ms"
    }
    bans = {}
  }

  test "in the name of a carrier with a call that was answered" {
    given {
      event = "dialogue"
      ip    = "203.0.113.6"
    }
    given {
      event       = "sip_request"
      method      = "OPTIONS"
      destination = "10<n>"
      ip          = "203.0.113.6"
      times       = 10
      every       = "10ms"
      at          = "1h"
    }
    alerts = ["203.0.113.6"]
  }

  test "a carrier that pings one user, and subscriptions of a phone" {
    given {
      event       = "sip_request"
      method      = "OPTIONS"
      destination = "ping"
      ip          = "203.0.113.6"
      times       = 500
      every       = "500ms"
    }
    given {
      event       = "sip_request"
      method      = "SUBSCRIBE"
      destination = "10<n>"
      ip          = "203.0.113.30"
      times       = 40
      every       = "10ms"
    }
    bans = {}
  }
}

# Forty OPTIONS in fifteen seconds: a flood, or a scan of many answers. A carrier that pings
# twice a second stays below it. One that pings more often, from one address, without a call
# in a day, must be trusted.
rule "options flood" {
  on    = local.wires
  match = "event == 'sip_request' and method == 'OPTIONS'"

  threshold {
    count  = 40
    within = "15s"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 50
    within = "10m"
  }

  test "the fortieth in just under fifteen seconds" {
    given {
      event       = "sip_request"
      method      = "OPTIONS"
      destination = "100"
      ip          = "203.0.113.7"
      times       = 40
      every       = "380ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a carrier that pings two and a half times a second" {
    given {
      event  = "sip_request"
      method = "OPTIONS"
      ip     = "203.0.113.6"
      times  = 500
      every  = "390ms"
    }
    bans = {}
  }

  test "the same OPTIONS, sent again and again until it is answered" {
    given {
      event  = "sip_request"
      method = "OPTIONS"
      ip     = "203.0.113.6"
      repeat = true
      times  = 500
      every  = "10ms"
    }
    bans = {}
  }
}

# REGISTER without credentials for twenty accounts within ten seconds: a scan for extensions.
# The slower ones are of 20-enumeration.hcl. An office of which a phone has logged in within
# a day is spared. In one that the guard has never heard, the first login ends the danger:
# twenty phones would have to be challenged before one of them answers.
rule "register sweep" {
  on    = local.wires
  match = "event == 'challenge' and method == 'REGISTER'"

  threshold {
    distinct = "user"
    count    = 20
    within   = "10s"
  }

  ban {
    for = "10m"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the twentieth account in just under ten seconds" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 20
      every  = "520ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never twenty in ten seconds" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 100
      every  = "530ms"
    }
    bans = {}
  }

  test "an office after a power cut, of which a phone logged in yesterday" {
    given {
      event = "dialogue"
      ip    = "203.0.113.30"
    }
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.30"
      times  = 20
      every  = "10ms"
      at     = "23h"
    }
    alerts = ["203.0.113.30"]
  }

  test "one phone, challenged again and again, and its keys" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "1000"
      ip     = "203.0.113.30"
      times  = 500
      every  = "100ms"
    }
    given {
      event  = "challenge"
      method = "SUBSCRIBE"
      user   = "10<n>"
      ip     = "203.0.113.30"
      times  = 40
      every  = "10ms"
    }
    bans = {}
  }
}

# Credentials with a nonce that the switch has not issued, six times in ten seconds. The
# switch does not check their password. After a restart of the switch or of the guard a
# phone does this once, and then logs in.
rule "made-up nonces" {
  on    = local.wires
  match = "event == 'auth_stale' and nonce_ip == ''"

  threshold {
    count  = 6
    within = "10s"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the sixth in just under ten seconds" {
    given {
      event  = "auth_stale"
      method = "REGISTER"
      user   = "1000"
      ip     = "203.0.113.7"
      times  = 6
      every  = "1990ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never six in ten seconds" {
    given {
      event = "auth_stale"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 100
      every = "2010ms"
    }
    bans = {}
  }

  test "nonces that have expired" {
    given {
      event    = "auth_stale"
      user     = "10<n>"
      ip       = "203.0.113.30"
      nonce_ip = "203.0.113.30"
      times    = 100
      every    = "10ms"
    }
    bans = {}
  }
}

# Six calls without a password that the dialplan refuses, within ten seconds. A new trunk
# without a route is refused as well, but no person dials that fast. A carrier has a call
# that is answered now and then. Over a connection a carrier has no such protection, so only
# datagrams count; there, "toll fraud" and "call flood" do.
rule "refused calls" {
  on    = local.wires
  match = "event == 'call_rejected' and not proven"

  threshold {
    count  = 6
    within = "10s"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the sixth in just under ten seconds" {
    given {
      event       = "call_rejected"
      answer      = 480
      destination = "9011972592<n>"
      ip          = "203.0.113.7"
      times       = 6
      every       = "1990ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never six in ten seconds" {
    given {
      event       = "call_rejected"
      answer      = 404
      destination = "1000"
      ip          = "203.0.113.7"
      times       = 100
      every       = "2010ms"
    }
    bans = {}
  }

  test "an account that dials wrong numbers, and a carrier over TLS" {
    given {
      event       = "call_rejected"
      answer      = 404
      user        = "1000"
      destination = "99<n>"
      ip          = "203.0.113.30"
      proven      = true
      times       = 20
      every       = "100ms"
    }
    given {
      event       = "call_rejected"
      answer      = 404
      destination = "4930123<n>"
      ip          = "203.0.113.6"
      proven      = true
      times       = 20
      every       = "100ms"
    }
    bans = {}
  }
}

# Calls without a password to ten numbers in an hour, refused: an attacker that walks prefixes
# or extensions. The thresholds of 60-toll-fraud.hcl are lower, for numbers abroad. A carrier
# whose callers dial wrong numbers is spared for its answered calls, and causes an alert:
# trust it. A new trunk whose numbers have no route yet is banned: trust it while you set it
# up.
rule "walking numbers" {
  on     = local.wires
  match  = "event == 'call_rejected' and not proven"
  reason = "dialled <destination>"

  threshold {
    distinct = "destination"
    count    = 10
    within   = "1h"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the tenth number in just under an hour" {
    given {
      event       = "call_rejected"
      answer      = 480
      destination = "<n>00972592367869"
      ip          = "203.0.113.7"
      times       = 10
      every       = "399s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never ten in an hour" {
    given {
      event       = "call_rejected"
      answer      = 480
      destination = "<n>00972592367869"
      ip          = "203.0.113.7"
      times       = 50
      every       = "401s"
    }
    bans = {}
  }

  test "a number that is no longer in use" {
    given {
      event       = "call_rejected"
      answer      = 404
      destination = "4930123456"
      ip          = "203.0.113.6"
      times       = 500
      every       = "10s"
    }
    bans = {}
  }
}

# Six requests of other methods that the switch refuses, within ten seconds: INFO or UPDATE
# outside of a call, SUBSCRIBE for an event that does not exist. A REFER outside of a call
# counts as well if it is accepted: it has the switch call a number, and a profile without
# passwords lets anyone send it. OPTIONS and REGISTER do not count, nor do challenges. A
# phone that logged in may do so as often as it likes.
rule "refused requests" {
  on    = local.wires
  match = <<-EOT
    event == 'sip_request' and not proven
    and (answer >= 400 and answer not in [401, 407, 423, 487] or answer >= 200 and answer < 300 and method == 'REFER')
    and method not in ['OPTIONS', 'REGISTER', 'INVITE', 'BYE']
  EOT

  threshold {
    count  = 6
    within = "10s"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the sixth in just under ten seconds" {
    given {
      event  = "sip_request"
      method = "REFER"
      answer = 403
      repeat = true
      ip     = "203.0.113.7"
      times  = 6
      every  = "1990ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "calls by REFER that are accepted" {
    given {
      event  = "sip_request"
      method = "REFER"
      answer = 202
      repeat = true
      ip     = "203.0.113.7"
      times  = 6
      every  = "1990ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never six in ten seconds" {
    given {
      event  = "sip_request"
      method = "NOTIFY"
      answer = 481
      repeat = true
      ip     = "203.0.113.7"
      times  = 100
      every  = "2010ms"
    }
    bans = {}
  }

  test "pings that are refused, and keys of a phone that are challenged" {
    given {
      event  = "sip_request"
      method = "OPTIONS"
      answer = 404
      repeat = true
      ip     = "203.0.113.6"
      times  = 500
      every  = "500ms"
    }
    given {
      event  = "sip_request"
      method = "SUBSCRIBE"
      answer = 407
      repeat = true
      ip     = "203.0.113.30"
      times  = 40
      every  = "10ms"
    }
    bans = {}
  }
}

# Six malformed messages in ten seconds, or six requests that the switch answers with 400. A
# phone with a flaw in a header sends each of them again, at longer and longer intervals:
# five times in ten seconds at most.
rule "malformed requests" {
  on    = local.wires
  match = "event == 'sip_malformed'"

  threshold {
    count  = 6
    within = "10s"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 50
    within = "10m"
  }

  test "the sixth in just under ten seconds" {
    given {
      event   = "sip_malformed"
      method  = "INVITE"
      message = "Missing Contact Header"
      ip      = "203.0.113.7"
      times   = 6
      every   = "1990ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "as they were seen" {
    given {
      line  = <<-EOT
        recv 40 bytes from udp/[203.0.113.7]:38686 at 18:39:41.766718:
        INVITE sip:<n>@198.51.100.1 SIP/2.0
        bad
      EOT
      times = 3
    }
    given {
      line  = <<-EOT
        recv 322 bytes from udp/[203.0.113.7]:45930 at 18:39:33.922556:
        INVITE sip:90110@198.51.100.1 SIP/2.0
        Via: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bK4d5790f82e;rport
        From: "90110"<sip:90110@198.51.100.1>;tag=eeeacbe2
        To: "90110"<sip:90110@198.51.100.1>
        Call-ID: 361623101239487593
        CSeq: 1 INVITE
        send 529 bytes to udp/[203.0.113.7]:45930 at 18:39:33.923854:
        SIP/2.0 400 Missing Contact Header
        Via: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bK4d5790f82e;rport=45930
        From: "90110" <sip:90110@198.51.100.1>;tag=eeeacbe2
        To: "90110" <sip:90110@198.51.100.1>;tag=pXaX1ZQ06aa4N
        Call-ID: 361623101239487593
        CSeq: 1 INVITE
      EOT
      times = 3
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never six in ten seconds" {
    given {
      event = "sip_malformed"
      ip    = "203.0.113.7"
      times = 100
      every = "2010ms"
    }
    bans = {}
  }
}

# Ten packets in a minute that are neither SIP nor a keep-alive. Keep-alives of any form that
# is known do not count; one that is not known comes three or four times a minute.
rule "garbage" {
  on    = local.wires
  match = "event == 'not_sip' and fields['kind'] == 'garbage'"

  threshold {
    count  = 10
    within = "1m"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 50
    within = "10m"
  }

  test "the tenth in just under a minute" {
    given {
      event  = "not_sip"
      fields = { kind = "garbage" }
      ip     = "203.0.113.7"
      times  = 10
      every  = "6600ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never ten in a minute" {
    given {
      event  = "not_sip"
      fields = { kind = "garbage" }
      ip     = "203.0.113.7"
      times  = 100
      every  = "6700ms"
    }
    bans = {}
  }
}

# TLS on a port without TLS, twenty times in a minute: a scan. A phone with the wrong port
# tries again every half a minute, so nine of them behind one address stay below it.
rule "tls probes" {
  on    = local.wires
  match = "event == 'not_sip' and fields['kind'] == 'tls'"

  threshold {
    count  = 20
    within = "1m"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 50
    within = "10m"
  }

  test "the twentieth in just under a minute" {
    given {
      event  = "not_sip"
      fields = { kind = "tls" }
      ip     = "203.0.113.7"
      times  = 20
      every  = "3100ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "nine phones with the wrong port, every thirty seconds" {
    given {
      event  = "not_sip"
      fields = { kind = "tls" }
      ip     = "203.0.113.30"
      times  = 500
      every  = "3300ms"
    }
    bans = {}
  }
}

# Web requests to a SIP port: five in thirty seconds. A browser that is opened there by
# mistake tries two or three times, a monitor every ten seconds at most. A load balancer that
# connects and sends nothing is not seen. One that sends HTTP every few seconds is banned:
# let it connect only, or trust it.
rule "web probes" {
  on    = local.wires
  match = "event == 'not_sip' and fields['kind'] == 'web'"

  threshold {
    count  = 5
    within = "30s"
  }

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 50
    within = "10m"
  }

  test "the fifth in just under thirty seconds" {
    given {
      event  = "not_sip"
      fields = { kind = "web" }
      ip     = "203.0.113.7"
      proven = true
      times  = 5
      every  = "7400ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a monitor every ten seconds" {
    given {
      event  = "not_sip"
      fields = { kind = "web" }
      ip     = "203.0.113.31"
      proven = true
      times  = 500
      every  = "10s"
    }
    bans = {}
  }

  test "a browser that is opened once, and again" {
    given {
      event  = "not_sip"
      fields = { kind = "web" }
      ip     = "203.0.113.30"
      proven = true
      times  = 4
    }
    bans = {}
  }
}
