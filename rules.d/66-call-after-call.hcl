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
  on     = local.streams
  match  = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and night and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
  on     = local.streams
  match  = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
  on     = local.streams
  match  = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and new_destination and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
  on     = local.streams
  match  = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and history_days > 0 and night and abroad and (new_network or guessed or new_destination and destination_type != 'fixed_line')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
  on     = local.streams
  match  = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and history_days > 0 and night and abroad and (new_network or guessed or new_destination and destination_type not in ['fixed_line', 'fixed_line_or_mobile'])
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
