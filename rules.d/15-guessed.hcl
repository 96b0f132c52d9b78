# A success after many failures, which is an alarm and no all-clear: somebody may have
# guessed a password. The rules of 10-guessing.hcl ban for the failures; this one tells
# of whom that did not stop: who stayed below their thresholds, came back when his ban
# was over, or was spared because a phone of his is registered.

# One address that fails five times in an hour on one account, and then gets in. Look
# at the account's calls, and change its password. Also a person who tries five times
# and then remembers, or repairs a phone that had an old password, is told of once.
#
# It asks for the same address on purpose. Most accounts with a short name are tried by
# somebody every hour, and their own phones renew their registrations all the while: a
# success from elsewhere is theirs. So it does not see a guess that is spread over many
# addresses; "distributed guessing" names the account then.
#
# Of successes only the event socket tells.
rule "success after many failures" {
  on    = [source.esl.pbx]
  match = "event == 'auth_failure'"

  threshold {
    per    = ["ip", "user@domain"]
    count  = 5
    within = "1h"
    then   = "event == 'auth_success'"
  }

  alert {}

  test "five failures in just under an hour, and then a success" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 5
      every  = "11m50s"
    }
    given {
      event  = "auth_success"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
    }
    alerts = ["203.0.113.7"]
  }

  test "it is told once" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 500
    }
    given {
      event  = "auth_success"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 50
      every  = "1m"
    }
    alerts = ["203.0.113.7"]
  }

  test "failures alone" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 500
    }
    alerts = []
  }

  test "four failures" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 4
    }
    given {
      event  = "auth_success"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
    }
    alerts = []
  }

  test "the phone of an account that others try" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 100
    }
    given {
      event  = "auth_success"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "198.51.100.30"
    }
    alerts = []
  }

  test "an office with a phone that fails and others that do not" {
    given {
      event  = "auth_failure"
      user   = "1001"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 50
    }
    given {
      event  = "auth_success"
      user   = "200<n>"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 5
    }
    alerts = []
  }

  test "a success more than an hour after the first of five" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 5
    }
    given {
      event  = "auth_success"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      at     = "1h1s"
    }
    alerts = []
  }
}

# One account that registers from six addresses in ten minutes: its password is known to
# more than its owner. A mobile phone in a train comes from two or three, beside those of
# a desk phone and a computer. Where one account is a whole office, leave it out with
# "and user != …".
#
# Of registrations only the event socket tells.
rule "account in many places" {
  on    = [source.esl.pbx]
  match = "event == 'registered'"

  threshold {
    per      = "user@domain"
    distinct = "ip"
    count    = 6
    within   = "10m"
  }

  alert {}

  test "the sixth address in just under ten minutes" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.<n>"
      times  = 6
      every  = "118s"
    }
    alerts = ["203.0.113.6"]
  }

  test "a little slower, never six addresses in ten minutes" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.<n>"
      times  = 20
      every  = "122s"
    }
    alerts = []
  }

  test "a phone that registers every minute" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 100
      every  = "1m"
    }
    alerts = []
  }

  test "the accounts of a company, each in a house of its own" {
    given {
      event  = "registered"
      user   = "100<n>"
      domain = "pbx.example.org"
      ip     = "203.0.113.<n>"
      times  = 50
    }
    alerts = []
  }
}
