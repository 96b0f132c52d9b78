# A success after many failures: the attacker may have guessed a password. The rules of
# 10-guessing.hcl ban for the failures. This file covers what they miss: an attacker
# below their thresholds, back after its ban, or spared for a registered phone.

# Five failures in an hour for one account from one address, then a success. Look at the
# calls of the account and change its password. A person who finds the right password at
# the sixth try causes this alert once as well.
#
# The success must come from the same address. Short account names are tried all the
# time, and their own phones renew their registrations meanwhile. The rule therefore
# misses a guess that is spread over addresses; see "distributed guessing".
#
# The event socket and the wire report successes; the log does not.
rule "success after many failures" {
  on    = local.calls
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

# One account registers from six addresses in ten minutes: its password has leaked. A
# mobile phone on a train uses two or three addresses, beside a desk phone and a computer.
# If one account serves a whole office, exclude it with "and user != …".
#
# The event socket and the wire report registrations; the log does not.
rule "account in many places" {
  on    = local.calls
  scope = "fleet"
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
