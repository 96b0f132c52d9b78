# Toll fraud with several stolen accounts, each of which makes few calls. 60-toll-fraud.hcl
# has what holds for all of these rules.

# Three accounts that never called such numbers of the country call one number that pays,
# within an hour. All of them are banned, and each further one at its call. A company
# whose employees look for a colleague on a ship may do this once.
rule "one number from many accounts" {
  on     = local.calls
  scope  = "fleet"
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per      = "destination_number"
    distinct = "user"
    count    = 3
    within   = "1h"
  }

  ban {
    target = "user"
    all    = true
    for    = ["10m", "1h", "1d"]
  }

  test "the third account, and a fourth" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 4
      every       = "5m"
      at          = "25h"
    }
    bans = { "1001@pbx.example.org" = "10m", "1002@pbx.example.org" = "10m", "1003@pbx.example.org" = "10m", "1004@pbx.example.org" = "10m" }
  }

  test "two accounts" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
      every       = "5m"
      at          = "25h"
    }
    bans = {}
  }

  test "as many numbers" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "5m"
      at          = "25h"
    }
    bans = {}
  }

  test "a mobile" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "5m"
      at          = "25h"
    }
    bans = {}
  }
}

# The same with any numbers of one country, by five accounts. Employees of a company with new business there may: the
# rule alerts unless fraud_bans is true.
rule "one country from many accounts" {
  on    = local.calls
  scope = "fleet"
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

  threshold {
    per      = "destination_country"
    distinct = "user"
    count    = 5
    within   = "1h"
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "the fifth account" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
      every       = "5m"
      at          = "25h"
    }
    bans = { "1005@pbx.example.org" = "10m" }
  }

  test "four accounts" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 4
      every       = "5m"
      at          = "25h"
    }
    bans = {}
  }
}

# At night, four accounts that never called mobiles of the country call the same one within an
# hour. Colleagues of a person on a journey may: the rule alerts unless fraud_bans is true.
rule "one mobile abroad from many accounts" {
  on     = local.calls
  scope  = "fleet"
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and destination_type == 'mobile' and new_destination and history_days > 0
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per      = "destination_number"
    distinct = "user"
    count    = 4
    within   = "1h"
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    all     = true
    for     = ["10m", "1h", "1d"]
  }

  test "the fourth account" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 4
      every       = "5m"
      at          = "Wed 03:00"
    }
    bans = { "1001@pbx.example.org" = "10m", "1002@pbx.example.org" = "10m", "1003@pbx.example.org" = "10m", "1004@pbx.example.org" = "10m" }
  }

  test "three accounts" {
    given {
      event  = "registered"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      fields = { authenticated = "true" }
    }
    given {
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
      every       = "5m"
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
      event       = "call"
      user        = "100<n>"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      every       = "5m"
      at          = "Wed 15:00"
    }
    bans = {}
  }
}
