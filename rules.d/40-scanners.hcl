# Attack tools recognised by their user agent, in three tiers. The log has no user agent,
# so these rules need the event socket or the wire. Only the wire reports an OPTIONS. An
# attacker can choose any name; these rules catch the careless, who are the majority.

# First tier: tools made for attacks. No honest phone uses these names, so the first
# packet bans. The packet may be forged: hence the brake and the short ban, which the
# next packet renews. svmap sends its OPTIONS as 100@1.1.1.1, whatever name it is given.
rule "attack tool" {
  on     = local.calls
  match  = <<-EOT
    event in ['sip_request', 'challenge', 'auth_failure', 'auth_stale', 'call'] and (
      user_agent matches `(?i)friendly-(scanner|request)|sipvicious|sundaya?ddr|sip-?scan|siparmyknife`
      or user_agent matches `(?i)pplsip|sipptk|sippts|pewswitch|voiphopper|sv(map|war|crack)|fgfdhgfxjfhyjhkj`
      or user_agent matches `(?i)(^|[^a-z])(iwar|sivus|smap|gulp|sipv|nmap|fourcats|test agent|dr[.]pes)([^a-z0-9]|$)`
      or user_agent matches `(?i)^(a_b_c|a{8,})$`
      or event == 'sip_request' and method == 'OPTIONS' and domain == '1.1.1.1'
    )
  EOT
  reason = "attack tool: <user_agent>"

  ban {
    for    = ["10m", "1h"]
    forget = "30d"
  }

  brake {
    bans   = 100
    within = "10m"
  }

  test "asks for a challenge" {
    given {
      event      = "challenge"
      user_agent = "friendly-scanner"
      ip         = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "one OPTIONS, which FreeSWITCH does not report" {
    given {
      source = local.wires
      line   = <<-EOT
        recv 402 bytes from udp/[203.0.113.7]:5060 at 18:40:10.323893:
        OPTIONS sip:100@198.51.100.1 SIP/2.0
        Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-112300804;rport
        To: "sipvicious"<sip:100@1.1.1.1>
        From: "sipvicious"<sip:100@1.1.1.1>;tag=3061346430303061313363340134303238393234313936
        User-Agent: friendly-scanner
        Call-ID: 558754363755796197170775
        Contact: sip:100@127.0.0.1:5060
        CSeq: 1 OPTIONS
      EOT
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "svmap under the name of a phone" {
    given {
      event      = "sip_request"
      method     = "OPTIONS"
      user       = "100"
      domain     = "1.1.1.1"
      user_agent = "Cisco/SPA525G"
      ip         = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "calls an open profile" {
    given {
      event      = "call"
      user_agent = "Nmap/7.80 sip-methods"
      ip         = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "its packets in the name of a registered phone" {
    given {
      event  = "registered"
      user   = "1000"
      ip     = "203.0.113.7"
      fields = { expires = "3600" }
    }
    given {
      event      = "challenge"
      user       = "1000"
      user_agent = "sipvicious"
      ip         = "203.0.113.7"
    }
    alerts = ["203.0.113.7"]
  }

  test "phones" {
    given {
      event      = "challenge"
      user_agent = "Yealink SIP-T46U 108.86.0.45"
      ip         = "203.0.113.30"
    }
    given {
      event      = "challenge"
      user_agent = "PrismaPhone 2.0"
      ip         = "203.0.113.31"
    }
    given {
      event = "challenge"
      ip    = "203.0.113.32"
    }
    bans = {}
  }
}

# Second tier: toolkits of dialers and fraudsters that also have honest users. The name
# and three wrong passwords ban, where other names have five. A health check by sipsak or
# SIPp sends no password and is ignored. On the wire two of these names are banned at their
# first OPTIONS or INVITE: see 45-wire.hcl.
rule "toolkit with wrong passwords" {
  on     = local.calls
  match  = <<-EOT
    event == 'auth_failure' and
    user_agent matches `(?i)sipcli|sipsak|sipp\b|vax(sip|ip)useragent|portsip|ozeki|abto|conaito|mizu|csipsimple|custom sip phone|voip sip|^z 3\b|im-client/oma`
  EOT
  reason = "user agent <user_agent>"

  threshold {
    count  = 3
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

  test "the third password in just under ten minutes" {
    given {
      event      = "auth_failure"
      user       = "1000"
      user_agent = "sipcli/v1.8"
      ip         = "203.0.113.7"
      times      = 3
      every      = "299s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "an honest softphone, never three in ten minutes" {
    given {
      event      = "auth_failure"
      user       = "1000"
      user_agent = "CSipSimple"
      ip         = "203.0.113.30"
      times      = 20
      every      = "301s"
    }
    bans = {}
  }

  test "a phone of another name" {
    given {
      event      = "auth_failure"
      user       = "1000"
      user_agent = "Zoiper rv2.10.20.4"
      ip         = "203.0.113.30"
      times      = 4
    }
    bans = {}
  }
}

# Third tier: brand names that attackers borrow, and an empty name. The name alone means
# nothing, nor does an OPTIONS or two; with failures on three accounts it bans, where other
# names have five.
rule "borrowed name on many accounts" {
  on     = local.calls
  match  = <<-EOT
    event == 'auth_failure' and
    user_agent matches `(?i)^$|^cisco-(sipgateway|cucm)|^cisco$|eyebeam|x-?lite|aster(isk|ix) pbx|^f?pbx|freepbx|linksys|^voip$|^x$`
  EOT
  reason = "user agent <user_agent>"

  threshold {
    distinct = "user"
    count    = 3
    within   = "1h"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 100
    within = "10m"
  }

  test "the third account in just under an hour" {
    given {
      event      = "auth_failure"
      user       = "100<n>"
      user_agent = "Asterisk PBX 11.2"
      ip         = "203.0.113.7"
      times      = 3
      every      = "29m50s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never three accounts in an hour" {
    given {
      event      = "auth_failure"
      user       = "100<n>"
      user_agent = "Asterisk PBX 11.2"
      ip         = "203.0.113.7"
      times      = 20
      every      = "30m10s"
    }
    bans = {}
  }

  test "a trunk with an old password" {
    given {
      event      = "auth_failure"
      user       = "trunk"
      user_agent = "FPBX-16.0.40"
      ip         = "203.0.113.30"
      times      = 50
      every      = "30s"
    }
    bans = {}
  }
}
