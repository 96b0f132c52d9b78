# Attacks on the list of accounts: which extensions exist here?

# Credentials for five accounts that do not exist, in ten minutes. FreeSWITCH writes
# "Can't find user" whatever its log settings are, and has no event for it: over the
# event socket it comes with the records of the log.
#
# There the failure of the same attempt mostly comes first, and this report is its
# repeat. It is the one to count here, whichever comes first.
#
# A phone that is set up with the wrong domain is refused in the same words, but it
# asks for one account only. Five such phones behind one address are banned.
rule "extension enumeration" {
  on    = [source.esl.pbx, source.log.freeswitch]
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
      source = source.log.freeswitch
      event  = "unknown_user"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 4
      every  = "149s"
    }
    given {
      source = source.log.freeswitch
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

# Scanners speak to the bare address of the switch; phones are set up with its name.
# Three times an unknown user at an address, and not at a domain, is enough.
#
# A phone that is set up with the address instead of the name is caught as well. Where
# the domain is the address itself, as FreeSWITCH sets it up at first, so is every phone
# whose account is no more: take this rule out there.
rule "registration to the bare IP" {
  on    = [source.esl.pbx, source.log.freeswitch]
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

# Names that attack tools try and nobody here has. Only an account that FreeSWITCH does
# not know counts, so that none of your own can be caught by a name in this list. Add
# extensions that look real and are free, such as '1234'. The second attempt bans, not
# the first: one line may be a slip.
rule "honeypot extension" {
  on    = [source.esl.pbx, source.log.freeswitch]
  match = <<-EOT
    event == 'unknown_user' and repeat in [true, false] and lower(user) in [
      'admin', 'administrator', 'anonymous', 'asterisk', 'default', 'demo', 'freeswitch',
      'guest', 'null', 'pbx', 'root', 'sip', 'sipvicious', 'support', 'test', 'tester',
      'trunk', 'user', 'voip',
    ]
  EOT

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
      source = source.log.freeswitch
      event  = "unknown_user"
      user   = "admin"
      ip     = "203.0.113.7"
    }
    given {
      source = source.log.freeswitch
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

# Requests without credentials for forty different accounts within a minute: what a
# scanner does before it guesses. FreeSWITCH answers each with a challenge, and a
# challenge is ordinary traffic, so nothing but the number of accounts tells. An event
# does not say REGISTER or INVITE; where it names a destination it is taken for a call.
#
# A challenge needs one packet, and whoever can forge the sender of one can forge
# forty: hence the short ban and the brake. An office of forty phones is spared, because
# they are registered. Only the event socket tells that; for the log, see the next rule.
rule "extension scan" {
  on    = [source.esl.pbx]
  match = "event == 'challenge' and method != 'INVITE' and destination == ''"

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

# The same where the event socket cannot be reached. The log tells of no registration,
# and the phones of a large office are challenged all day: forty accounts count only if
# they are tried within three seconds. Phones whose power comes back take longer, unless
# there are more than a hundred behind one address: trust it.
rule "fast extension scan" {
  on    = [source.log.freeswitch]
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
