# Password guessing: one address that fails again and again.

# Five failures in ten minutes from one address, by any method, for known or unknown
# accounts. A phone that fails twice and then succeeds stays below this.
#
# FreeSWITCH reports an unknown user, and an address refused by the user's own access
# list, in two lines. The first line counts; the second is marked as a repeat.
#
# FreeSWITCH does not bind a nonce to an address. An attacker that can forge UDP can cause
# failures in the name of another address. The short first ban and the brake limit the
# damage. The brake is far above what a botnet of stolen customer devices reaches. On the
# wire such failures count against the address to which the nonce was sent.
#
# A phone that retries an old password by itself looks like an attacker and is banned,
# unless other phones are registered from its address and it fails at most twice a minute.
# Correct the phone, then run `freeswitch-security unban ADDRESS --grace 1h`.
#
# FreeSWITCH reports failures by REGISTER and INVITE only: those by MESSAGE, SUBSCRIBE or
# PUBLISH are seen on the wire. The log source needs `log-auth-failures`.
rule "password guessing" {
  on    = local.switch
  scope = "fleet"
  match = <<-EOT
    event in ['auth_failure', 'unknown_user']
    or event == 'acl_reject' and message contains 'Rejected by user acl'
  EOT

  threshold {
    count  = 5
    within = "10m"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 1000
    within = "10m"
  }

  test "the fifth failure in just under ten minutes" {
    given {
      event  = "auth_failure"
      method = "REGISTER"
      user   = "1000"
      ip     = "203.0.113.7"
      times  = 5
      every  = "149s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "twice at each of two switches of a fleet, and once more" {
    given {
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 2
    }
    given {
      node  = "sbc2"
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 2
    }
    given {
      node  = "sbc3"
      event = "auth_failure"
      ip    = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "twice at each of two switches" {
    given {
      node  = "sbc1"
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 2
    }
    given {
      node  = "sbc2"
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 2
    }
    bans = {}
  }

  test "by methods that FreeSWITCH does not report" {
    given {
      source   = local.wires
      event    = "auth_failure"
      method   = "MESSAGE"
      ip       = "203.0.113.7"
      nonce_ip = "203.0.113.7"
      proven   = true
      times    = 3
    }
    given {
      source   = local.wires
      event    = "auth_failure"
      method   = "SUBSCRIBE"
      ip       = "203.0.113.7"
      nonce_ip = "203.0.113.7"
      proven   = true
      times    = 2
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "two typos by SUBSCRIBE" {
    given {
      source   = local.wires
      event    = "auth_failure"
      method   = "SUBSCRIBE"
      ip       = "203.0.113.30"
      nonce_ip = "203.0.113.30"
      proven   = true
      times    = 2
    }
    given {
      source   = local.wires
      event    = "auth_success"
      method   = "SUBSCRIBE"
      user     = "1000"
      ip       = "203.0.113.30"
      nonce_ip = "203.0.113.30"
      proven   = true
      times    = 40
      every    = "100ms"
    }
    bans = {}
  }

  test "by REGISTER, by INVITE, and as an unknown user together" {
    given {
      event  = "auth_failure"
      method = "REGISTER"
      ip     = "203.0.113.7"
      times  = 2
    }
    given {
      event  = "auth_failure"
      method = "INVITE"
      ip     = "203.0.113.7"
      times  = 2
    }
    given {
      event = "unknown_user"
      ip    = "203.0.113.7"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "as FreeSWITCH writes it" {
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip 203.0.113.45"
      times  = 5
    }
    bans = { "203.0.113.45" = "10m" }
  }

  test "one attempt that is reported twice counts once" {
    given {
      event = "unknown_user"
      ip    = "203.0.113.7"
      times = 4
      every = "10s"
    }
    given {
      event  = "auth_failure"
      ip     = "203.0.113.7"
      repeat = true
      times  = 4
      every  = "10s"
      at     = "1ms"
    }
    bans = {}
  }

  test "five times refused by the user's access list" {
    given {
      source = local.logs
      line   = <<-EOT
        2026-11-22 22:17:30.501844 18.50% [WARNING] sofia_reg.c:3275 IP 203.0.113.60 Rejected by user acl [trusted] and no proxy acl present
        2026-11-22 22:17:30.501844 18.50% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1018@10.77.0.10] from ip 203.0.113.60
      EOT
      times  = 5
    }
    bans = { "203.0.113.60" = "10m" }
  }

  test "refused by the profile's access list, which is of another rule" {
    given {
      event   = "acl_reject"
      message = "Rejected by acl \"trusted\""
      ip      = "203.0.113.60"
      times   = 20
    }
    bans = {}
  }

  test "an IPv6 host has a whole /64 to itself" {
    given {
      event = "auth_failure"
      ip    = "2001:db8:5::1"
      times = 3
    }
    given {
      event = "auth_failure"
      ip    = "2001:db8:5::2"
      times = 2
    }
    bans = { "2001:db8:5::/64" = "10m" }
  }

  test "an IPv4 host behind NAT64, beside another one" {
    given {
      event = "auth_failure"
      ip    = "64:ff9b::198.51.100.3"
      times = 5
    }
    given {
      event = "auth_failure"
      ip    = "64:ff9b::198.51.100.4"
      times = 4
    }
    bans = { "64:ff9b::198.51.100.3" = "10m" }
  }

  test "an IPv4 host with 6to4 has a /48 to itself" {
    given {
      event = "auth_failure"
      ip    = "2002:c633:6405:<n>::1"
      times = 5
    }
    bans = { "2002:c633:6405::/48" = "10m" }
  }

  test "five Teredo hosts of one server" {
    given {
      event = "auth_failure"
      ip    = "2001:0:53aa:64c:1234:5678:9abc:<n>"
      times = 5
    }
    bans = {}
  }

  test "the second time is longer" {
    given {
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 5
    }
    given {
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 5
      at    = "1h"
    }
    bans = { "203.0.113.7" = "2h" }
  }

  test "two typos and the right password" {
    given {
      event = "auth_failure"
      ip    = "203.0.113.30"
      times = 2
    }
    given {
      event = "challenge"
      ip    = "203.0.113.30"
      times = 10
    }
    bans = {}
  }

  test "a little slower, never five in ten minutes" {
    given {
      event = "auth_failure"
      ip    = "203.0.113.7"
      times = 50
      every = "151s"
    }
    bans = {}
  }
}

# Slow guessing: twenty failures in twelve hours, never five in ten minutes. A forgotten
# phone with an old password looks the same. If other phones are registered from its
# address, the rule alerts instead of banning. Refused logins of browsers count as well:
# otherwise an attacker that uses both has twice as many guesses.
#
# It has no brake: it is what ends the guessing while the brakes of other rules are used up, and
# a forger needs twenty packets for each ban.
rule "slow password guessing" {
  on    = local.switch
  scope = "fleet"
  match = <<-EOT
    event in ['auth_failure', 'unknown_user', 'verto_login_failure']
    or event == 'acl_reject' and message contains 'Rejected by user acl'
  EOT

  threshold {
    count  = 20
    within = "12h"
  }

  ban {
    for    = ["1h", "1d", "7d"]
    forget = "30d"
  }

  test "the twentieth failure in just under twelve hours" {
    given {
      event = "unknown_user"
      user  = "100"
      ip    = "203.0.113.7"
      times = 10
      every = "37m"
    }
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 10
      every = "37m"
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "ten by MESSAGE, which the wire alone reports, and ten of a browser" {
    given {
      source   = local.wires
      event    = "auth_failure"
      method   = "MESSAGE"
      user     = "1000"
      ip       = "203.0.113.7"
      nonce_ip = "203.0.113.7"
      proven   = true
      times    = 10
      every    = "37m"
    }
    given {
      source = local.streams
      event  = "verto_login_failure"
      user   = "1000"
      ip     = "203.0.113.7"
      proven = true
      times  = 10
      every  = "37m"
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "a registered phone beside one with an old password" {
    given {
      event  = "registered"
      user   = "1001"
      ip     = "203.0.113.7"
      fields = { expires = "86400" }
    }
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 20
      every = "30m"
    }
    alerts = ["203.0.113.7"]
  }

  test "a little slower, never twenty in twelve hours" {
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 200
      every = "38m"
    }
    bans = {}
  }
}

# One password tried on many accounts: failures on five accounts in an hour. The ban is
# longer than for plain guessing, because no phone does this by mistake.
#
# An office whose five phones got a new password on the same day looks the same. Such an
# office is spared while a phone is registered there, up to the limit of
# security.protected_failures. Otherwise trust its address while you correct the phones.
# In the log, a failure by INVITE names no account.
rule "password spraying" {
  on    = local.switch
  scope = "fleet"
  match = "event == 'auth_failure'"

  threshold {
    distinct = "user"
    count    = 5
    within   = "1h"
  }

  ban {
    for    = ["1h", "1d", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 1000
    within = "10m"
  }

  test "the fifth account in just under an hour" {
    given {
      event = "auth_failure"
      user  = "100<n>"
      ip    = "203.0.113.7"
      times = 5
      every = "14m50s"
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "a little slower, never five accounts in an hour" {
    given {
      event = "auth_failure"
      user  = "1<n>"
      ip    = "203.0.113.7"
      times = 50
      every = "15m10s"
    }
    bans = {}
  }

  test "one phone with an old password" {
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 50
      every = "1m"
    }
    bans = {}
  }
}

# Refused logins of browsers (mod_verto). They arrive over TCP, so their sender cannot be
# forged. A page that retries an old password by itself is banned too. The log names no
# address for them, and they are no SIP, so the rule needs the event socket.
rule "verto guessing" {
  on    = local.streams
  match = "event == 'verto_login_failure'"

  threshold {
    count  = 5
    within = "10m"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  test "the fifth login refused in just under ten minutes" {
    given {
      event = "verto_login_failure"
      user  = "1003"
      ip    = "203.0.113.7"
      times = 5
      every = "149s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never five in ten minutes" {
    given {
      event = "verto_login_failure"
      user  = "1003"
      ip    = "203.0.113.7"
      times = 50
      every = "151s"
    }
    bans = {}
  }
}
