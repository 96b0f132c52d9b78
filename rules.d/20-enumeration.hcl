# Enumeration: an attacker looks for extensions that exist.

# Credentials for five accounts that do not exist, in ten minutes. FreeSWITCH logs "Can't
# find user" whatever its settings, and has no event for it. The event socket delivers it
# as a log record. On the wire it looks like a wrong password: see "password spraying".
#
# On the event socket the failure of the same attempt usually arrives first, and this
# report is marked as its repeat. This rule counts the report in either order.
#
# A phone with the wrong domain is refused in the same words, but it asks for one account
# only. Five such phones behind one address are banned.
rule "extension enumeration" {
  on    = local.reports
  scope = "fleet"
  match = "event == 'unknown_user' and repeat in [true, false]"

  threshold {
    distinct = "user"
    count    = 5
    within   = "10m"
  }

  ban {
    for    = ["1h", "1d", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 1000
    within = "10m"
  }

  test "the fifth extension that does not exist, in just under ten minutes" {
    given {
      source = local.logs
      event  = "unknown_user"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 4
      every  = "149s"
    }
    given {
      source = local.logs
      line   = <<-EOT
        2026-11-22 22:14:12.021838 0.03% [WARNING] sofia_reg.c:3210 Can't find user [836@10.77.0.10] from 203.0.113.7
        You must define a domain called '10.77.0.10' in your directory and add a user with the id="836" attribute
        and you must configure your device to use the proper domain in its authentication credentials.
      EOT
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "reported behind its failure" {
    given {
      event  = "unknown_user"
      repeat = true
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 5
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "a little slower, never five in ten minutes" {
    given {
      event = "unknown_user"
      user  = "10<n>"
      ip    = "203.0.113.7"
      times = 50
      every = "151s"
    }
    bans = {}
  }

  test "one phone with the wrong domain" {
    given {
      event = "unknown_user"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 20
      every = "30s"
    }
    bans = {}
  }
}

# Scanners address the switch by its IP address; phones use its domain name. Three unknown
# users at an IP address in ten minutes ban.
#
# A phone configured with the address instead of the name is banned too. If your domain
# is the IP address, FreeSWITCH's initial setting, every phone of a deleted account is:
# remove this rule there.
rule "registration to the bare IP" {
  on    = local.reports
  match = "event == 'unknown_user' and repeat in [true, false] and domain matches `^([0-9]{1,3}[.]){3}[0-9]{1,3}$|:`"

  threshold {
    count  = 3
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

  test "the third in just under ten minutes" {
    given {
      event  = "unknown_user"
      user   = "10<n>"
      domain = "198.51.100.1"
      ip     = "203.0.113.7"
      times  = 3
      every  = "299s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "an IPv6 address, reported behind its failure" {
    given {
      event  = "unknown_user"
      repeat = true
      user   = "10<n>"
      domain = "[2001:db8::1]"
      ip     = "203.0.113.7"
      times  = 3
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never three in ten minutes" {
    given {
      event  = "unknown_user"
      user   = "1000"
      domain = "198.51.100.1"
      ip     = "203.0.113.7"
      times  = 20
      every  = "301s"
    }
    bans = {}
  }

  test "a phone with the wrong name of the domain" {
    given {
      event  = "unknown_user"
      user   = "1000"
      domain = "1.pbx.example.org"
      ip     = "203.0.113.7"
      times  = 4
    }
    bans = {}
  }

  test "an account that exists, and two typos" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "198.51.100.1"
      ip     = "203.0.113.7"
      times  = 4
    }
    bans = {}
  }
}

# Names that attack tools try and that no account here has. Only accounts unknown to
# FreeSWITCH count, so none of your own accounts can match by its name. Add free extensions
# that look real, such as '1234'. The second attempt bans; a single one may be a typo.
rule "honeypot extension" {
  on     = local.reports
  match  = <<-EOT
    event == 'unknown_user' and repeat in [true, false] and lower(user) in [
      'admin', 'administrator', 'anonymous', 'asterisk', 'default', 'demo', 'freeswitch',
      'guest', 'null', 'pbx', 'root', 'sip', 'sipvicious', 'support', 'test', 'tester',
      'trunk', 'user', 'voip',
    ]
  EOT
  reason = "tried <user>"

  threshold {
    count  = 2
    within = "1h"
  }

  ban {
    for    = ["1h", "1d", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 100
    within = "10m"
  }

  test "admin, then Test" {
    given {
      source = local.logs
      event  = "unknown_user"
      user   = "admin"
      ip     = "203.0.113.7"
    }
    given {
      source = local.logs
      event  = "unknown_user"
      user   = "Test"
      ip     = "203.0.113.7"
      at     = "59m"
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "one slip after another, more than an hour apart" {
    given {
      event = "unknown_user"
      user  = "test"
      ip    = "203.0.113.7"
      times = 20
      every = "61m"
    }
    bans = {}
  }

  test "one slip, and an account of that name which exists" {
    given {
      event = "unknown_user"
      user  = "test"
      ip    = "203.0.113.7"
    }
    given {
      event = "auth_failure"
      user  = "test"
      ip    = "203.0.113.7"
      times = 3
    }
    bans = {}
  }
}

# Requests without credentials for forty accounts within a minute: a scan before the
# guessing. FreeSWITCH answers each with a challenge, which is ordinary traffic, so only
# the number of accounts tells. The wire names the method, and only REGISTER counts. The
# event socket does not: a request with a destination counts as a call and is ignored. For
# faster scans on the wire see "register sweep" in 45-wire.hcl.
#
# One packet causes one challenge, and its sender can be forged: hence the short ban and
# the brake. An office of forty phones is spared because its phones are registered. The log
# does not report registrations: see the next rule.
rule "extension scan" {
  on    = local.calls
  match = "event == 'challenge' and (method == 'REGISTER' or method == '' and destination == '')"

  threshold {
    distinct = "user"
    count    = 40
    within   = "1m"
  }

  ban {
    for = "10m"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the fortieth account in just under a minute" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 40
      every  = "1500ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never forty in a minute" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 200
      every  = "1550ms"
    }
    bans = {}
  }

  test "in the name of a registered phone" {
    given {
      event  = "registered"
      user   = "1000"
      ip     = "203.0.113.7"
      fields = { expires = "3600" }
    }
    given {
      event = "challenge"
      user  = "10<n>"
      ip    = "203.0.113.7"
      times = 40
      every = "100ms"
    }
    alerts = ["203.0.113.7"]
  }

  test "an office of fifty phones after a power cut" {
    given {
      event  = "registered"
      user   = "10<n>"
      ip     = "203.0.113.7"
      fields = { expires = "3600" }
      times  = 50
    }
    given {
      event = "challenge"
      user  = "10<n>"
      ip    = "203.0.113.7"
      times = 50
      at    = "10m"
    }
    alerts = ["203.0.113.7"]
  }

  test "one account, challenged all day" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "1000"
      ip     = "203.0.113.7"
      times  = 500
    }
    bans = {}
  }

  test "calls of many, and keys that many phones subscribe to, are no scan" {
    given {
      event  = "challenge"
      method = "INVITE"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 100
      every  = "100ms"
    }
    given {
      event       = "challenge"
      user        = "10<n>"
      destination = "1000"
      ip          = "203.0.113.7"
      times       = 100
      every       = "100ms"
    }
    bans = {}
  }
}

# The same for the log, which reports no registrations. The phones of a large office are
# challenged all day, so forty accounts count only within three seconds. Phones that
# restart after a power cut take longer, up to a hundred behind one address. Trust a
# larger office.
rule "fast extension scan" {
  on    = local.logs
  match = "event == 'challenge' and method == 'REGISTER'"

  threshold {
    distinct = "user"
    count    = 40
    within   = "3s"
  }

  ban {
    for = "10m"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the fortieth account in just under three seconds" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 40
      every  = "75ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "one account, and calls of many" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "1000"
      ip     = "203.0.113.7"
      times  = 200
      every  = "10ms"
    }
    given {
      event       = "challenge"
      method      = "INVITE"
      user        = "10<n>"
      destination = "9196"
      ip          = "203.0.113.7"
      times       = 200
      every       = "10ms"
    }
    bans = {}
  }

  test "two hundred phones in sixteen seconds, after a power cut" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 200
      every  = "78ms"
    }
    bans = {}
  }
}
