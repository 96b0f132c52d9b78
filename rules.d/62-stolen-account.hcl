# Toll fraud with a stolen account: the first calls, and where the account calls from. What
# holds for all rules about toll fraud, and the countries where stolen accounts call, are in
# 60-toll-fraud.hcl.

# An account calls a satellite, a premium-rate number or one of the fraud countries, and has
# not in the 90 days before. Many stolen accounts are seen so at the first call. Customers
# do it as well, now and then: the rule alerts, once a day for an account.
rule "first call to a number that pays" {
  on     = local.calls
  match  = <<-EOT
    event == 'call' and new_destination
    and destination_country not in local.usual_countries
    and (destination_type in ['premium_rate', 'satellite'] or abroad and destination_country in local.fraud_countries)
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per    = "user@domain"
    count  = 1
    within = "1d"
  }

  alert {}

  test "a satellite" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "+88163123456<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 20
    }
    alerts = ["203.0.113.7"]
  }

  test "a premium-rate number of Latvia" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
    }
    alerts = ["203.0.113.7"]
  }

  test "Somalia, also behind a prefix for a line" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "900252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    alerts = ["203.0.113.7"]
  }

  test "other countries, and without an account" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "004420794612<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    given {
      event       = "call"
      destination = "+88163123456<n>"
      ip          = "203.0.113.7"
      times       = 9
    }
    alerts = []
  }
}

# A password that may have been guessed (five failures in the hour before, and a network
# that is new to the account), and a call to a number that pays. The owner who finds the
# password at the sixth try, away from home, and then calls such a number is banned for
# ten minutes.
rule "guessed account and a number that pays" {
  on     = local.calls
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and guessed and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per    = "user@domain"
    count  = 1
    within = "1h"
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "five failures, a registration and a call" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      proven = true
      times  = 5
    }
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
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a call elsewhere" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      proven = true
      times  = 5
    }
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
      destination = "00442079461234"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }

  test "four failures" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      proven = true
      times  = 4
    }
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
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# The same with any call abroad. A customer who is abroad, has forgotten the password and
# calls there after the sixth try looks the same: the rule alerts unless fraud_bans is true.
rule "guessed account and a call abroad" {
  on     = local.calls
  match  = "event == 'call' and fields['variable_sip_authorized'] == 'true' and guessed and abroad"
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per    = "user@domain"
    count  = 1
    within = "1h"
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "five failures, a registration and a call" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      proven = true
      times  = 5
    }
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
      destination = "00442079461234"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "without failures" {
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
      destination = "00442079461234"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# An account that has a home appears in another network, and within the hour calls a number
# that pays, for the first time. A customer on a journey to such a country does so too: the
# rule alerts unless fraud_bans is true. Mobiles that change their network all the time
# have no home.
rule "new network and a number that pays" {
  on     = local.calls
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_network and new_destination and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per    = "user@domain"
    count  = 1
    within = "1h"
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "at home for two days, then elsewhere" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "48h"
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "198.51.100.9"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "198.51.100.9"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "at home" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "48h"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# The same with a call to any country that the account did not call before. A traveller
# does this: the rule alerts.
rule "new network and a call abroad" {
  on     = local.calls
  match  = "event == 'call' and new_network and new_destination and abroad"
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per    = "user@domain"
    count  = 1
    within = "1d"
  }

  alert {}

  test "at home for two days, then elsewhere" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "48h"
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "198.51.100.9"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00442079461234"
      ip          = "198.51.100.9"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
    }
    alerts = ["198.51.100.9"]
  }

  test "at home" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "48h"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00442079461234"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    alerts = []
  }
}

# At night and within an hour, an account calls abroad from three networks that are new to it. A
# thief changes its network at each call. A mobile is in new networks all the time, and such
# accounts have no home; one that was at home for weeks and calls abroad from a train at
# night is banned for ten minutes.
rule "abroad from many networks" {
  on     = local.calls
  scope  = "fleet"
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and new_network
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per      = "user@domain"
    distinct = "ip/24,48"
    count    = 3
    within   = "1h"
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "three networks" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.1.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:10"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.2.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:20"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.3.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:30"
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a journey, and a carrier that gives the phone other addresses" {
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
      destination = "00447400123456"
      ip          = "198.51.1.<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
      every       = "5m"
      at          = "Wed 03:00"
    }
    bans = {}
  }

  test "two networks" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.1.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:10"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.2.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:20"
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
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
      at     = "Wed 15:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.1.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 15:10"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.2.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 15:20"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "198.51.3.9"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 15:30"
    }
    bans = {}
  }
}
