# Attacks on the list of accounts: which extensions exist here?

# Credentials for five accounts that do not exist, in ten minutes. FreeSWITCH writes
# "Can't find user" whatever its log settings are.
#
# A phone that is set up with the wrong domain is refused in the same words, but it
# asks for one account only.
rule "extension enumeration" {
  on    = [source.log.freeswitch]
  match = "event == 'unknown_user'"

  threshold {
    distinct = "user"
    count    = 5
    within   = "10m"
  }

  ban {
    for    = ["1h", "1d", "7d"]
    forget = "30d"
  }

  test "five extensions that do not exist" {
    given {
      event = "unknown_user"
      user  = "10<n>"
      ip    = "203.0.113.7"
      times = 4
    }
    given {
      line = <<-EOT
        2026-11-22 22:14:12.021838 0.03% [WARNING] sofia_reg.c:3210 Can't find user [836@10.77.0.10] from 203.0.113.7
        You must define a domain called '10.77.0.10' in your directory and add a user with the id="836" attribute
        and you must configure your device to use the proper domain in its authentication credentials.
      EOT
    }
    bans = { "203.0.113.7" = "1h" }
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

# Requests without credentials for forty different accounts within a minute: what a
# scanner does before it guesses. FreeSWITCH answers each with a challenge, and a
# challenge is ordinary traffic, so nothing but the number of accounts tells.
#
# A challenge needs one packet, and whoever can forge the sender of one can forge
# forty: hence the short ban and the brake. Trust your trunks and large offices.
rule "extension scan" {
  on    = [source.log.freeswitch]
  match = "event == 'challenge' and method == 'REGISTER'"

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

  test "extensions 1001 to 1040 within a minute" {
    given {
      event  = "challenge"
      method = "REGISTER"
      user   = "10<n>"
      ip     = "203.0.113.7"
      times  = 40
    }
    bans = { "203.0.113.7" = "10m" }
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

  test "calls to many destinations are no scan" {
    given {
      event       = "challenge"
      method      = "INVITE"
      destination = "9196"
      ip          = "203.0.113.7"
      times       = 100
    }
    bans = {}
  }
}
