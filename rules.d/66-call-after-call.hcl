# Toll fraud with a stolen account: one call after another. Only the event socket reports
# when calls are answered: without it the rules that count those are skipped.
# 60-toll-fraud.hcl has what holds for all of them.

# At night, an account has three calls answered in half an hour by numbers that pay, of a kind
# and country that it never called before, and dials the next one. A person who calls
# relatives in Cuba for the first time has longer calls, or fewer answered ones; a family
# that tells four of them some news within half an hour is banned for ten minutes, and so is
# a call centre in the first night of its work for such a country: trust its account. In the
# first day of the guard every country is new, and the rule is silent.
rule "numbers that pay, at night" {
  on    = local.streams
  match = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and night and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

  threshold {
    per    = "user@domain"
    count  = 3
    within = "30m"
    then   = "event == 'call' and fields['variable_sip_authorized'] == 'true' and night and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries and (destination_country in local.fraud_countries or destination_type == 'premium_rate')"
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "the fourth call" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
      every       = "9m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "three calls" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
      every       = "9m"
      at          = "Wed 03:00"
    }
    bans = {}
  }

  test "a busy number, dialled again and again" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
      at          = "Wed 03:00"
    }
    bans = {}
  }

  test "by day" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "1m"
      at          = "Wed 15:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "an account that calls there" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "1m"
      at          = "Thu 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# The same at any time, within ten minutes: short calls. A crew agency with a new employee may
# do this: the rule alerts unless fraud_bans is true.
rule "numbers that pay, by day" {
  on    = local.streams
  match = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

  threshold {
    per    = "user@domain"
    count  = 3
    within = "10m"
    then   = "event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries and (destination_country in local.fraud_countries or destination_type == 'premium_rate')"
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "the fourth call" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
      every       = "3m"
      at          = "Wed 15:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a little slower" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "5m"
      at          = "Wed 15:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345674"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# The same with ten calls answered by one such number in half an hour, at any time and also in the
# first day of the guard. A person whose line drops calls again, but not as often.
rule "one number that pays, again and again" {
  on    = local.streams
  match = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and new_destination and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

  threshold {
    per    = ["user@domain", "destination_number"]
    count  = 10
    within = "30m"
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "ten calls in just under half an hour" {
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
      every       = "3m19s"
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a little slower" {
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
      every       = "3m21s"
    }
    bans = {}
  }

  test "a call centre with as many numbers as calls" {
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
  }

  test "a busy number, dialled again and again" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
    }
    bans = {}
  }
}

# At night, an account has three calls abroad answered in ten minutes and dials the next one, and
# the account is in a network that is new to it, or it never called such numbers of the
# country before. A traveller in a hurry may; a fax server sends to fixed lines, which count
# only from a new network: the rule alerts unless fraud_bans is true.
rule "calls abroad at night" {
  on    = local.streams
  match = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and history_days > 0 and night and abroad and (new_network or guessed or new_destination and destination_type != 'fixed_line')
  EOT

  threshold {
    per    = ["user@domain", "destination_country"]
    count  = 3
    within = "10m"
    then   = "event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and (new_network or guessed or new_destination and destination_type != 'fixed_line')"
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "the fourth call" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
      every       = "3m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123454"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a doctor with two calls" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
      every       = "3m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123454"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "by day" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "1m"
      at          = "Wed 15:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123454"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "a fax server" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "004822123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "1m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0048221234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# The same with ten answered calls in half an hour, and a call more. A person does not make as
# many; a call centre that works at night for a country that is new to it does: trust its
# account. Numbers of the United States may be fixed lines too, so a fax server calls those.
rule "many calls abroad at night" {
  on    = local.streams
  match = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and history_days > 0 and night and abroad and (new_network or guessed or new_destination and destination_type not in ['fixed_line', 'fixed_line_or_mobile'])
  EOT

  threshold {
    per    = ["user@domain", "destination_country"]
    count  = 10
    within = "30m"
    then   = "event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and (new_network or guessed or new_destination and destination_type not in ['fixed_line', 'fixed_line_or_mobile'])"
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "the eleventh call" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
      every       = "3m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123454"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "nine calls" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "3m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123454"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "by day" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
      every       = "1m"
      at          = "Wed 15:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123454"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "a fax server that sends to the United States" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00121273600<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 20
      every       = "1m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0012127361000"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "an alarm system that calls its mobile every minute" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0041791234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_answered"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0041791234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 200
      every       = "1m"
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0041791234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# An account calls ten different numbers abroad in ten minutes. Only you can tell a stolen
# account from a busy one, so the rule alerts. If no account calls abroad, add
# ban { target = "user" }.
rule "calls abroad" {
  on    = local.calls
  match = "event == 'call' and abroad"

  threshold {
    per      = "user@domain"
    distinct = "destination_number"
    count    = 10
    within   = "10m"
  }

  alert {}

  test "the tenth number in just under ten minutes" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00414412345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
      every       = "66s"
    }
    alerts = ["203.0.113.7"]
  }

  test "a little slower, never ten numbers in ten minutes" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00414412345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 50
      every       = "67s"
    }
    alerts = []
  }

  test "two accounts of one office with five numbers each" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "004144123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
    }
    given {
      event       = "call"
      user        = "1001"
      domain      = "pbx.example.org"
      destination = "004144123457<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
    }
    alerts = []
  }

  test "one number, again and again" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0041441234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
    }
    alerts = []
  }
}

# An account calls numbers that pay ten times in an hour, also where it called before. A
# crew agency or a charity does: the rule alerts. Its country may
# belong into usual_countries.
rule "many calls to numbers that pay" {
  on    = local.calls
  match = <<-EOT
    event == 'call' and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

  threshold {
    per    = "user@domain"
    count  = 10
    within = "1h"
  }

  alert {}

  test "the tenth call to a satellite in just under an hour" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "+88163123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
      every       = "6m39s"
    }
    alerts = ["203.0.113.7"]
  }

  test "a little slower, never ten calls in an hour" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "+88163123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 20
      every       = "6m41s"
    }
    alerts = []
  }

  test "an office of ten accounts with one call each" {
    given {
      event       = "call"
      user        = "10<n>"
      domain      = "pbx.example.org"
      destination = "+88163123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
    }
    alerts = []
  }
}

# An account makes thirty calls in a minute, which no person does. Exclude the account of
# your own dialer with "and user != …".
rule "calls per minute" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] == 'true'"

  threshold {
    per    = "user@domain"
    count  = 30
    within = "1m"
  }

  alert {}

  test "the thirtieth call in just under a minute" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "03012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
      every       = "2050ms"
    }
    alerts = ["203.0.113.7"]
  }

  test "a little slower, never thirty calls in a minute" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "03012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 200
      every       = "2080ms"
    }
    alerts = []
  }

  test "an office of fifty accounts with one call each" {
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "03012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 50
    }
    alerts = []
  }
}

# An account makes a hundred and fifty calls in an hour, below "calls per minute": a
# stolen account used slowly, mostly for one number.
rule "calls per hour" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] == 'true'"

  threshold {
    per    = "user@domain"
    count  = 150
    within = "1h"
  }

  alert {}

  test "the hundred and fiftieth call in just under an hour" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037112345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 150
      every       = "24100ms"
    }
    alerts = ["203.0.113.7"]
  }

  test "a little slower, never a hundred and fifty in an hour" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0301234<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 600
      every       = "24200ms"
    }
    alerts = []
  }

  test "an office of fifty accounts with ten calls each" {
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "03012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 50
    }
    alerts = []
  }
}
