# Toll fraud with a stolen account: calls at once. Only the event socket reports when calls
# end: without it these rules are skipped. 60-toll-fraud.hcl has what holds for all of them.

# An account has ten calls at once to one number that pays, to one mobile or to one personal
# number, as +44 70. A mobile takes one call and shows a second one; the calls that a PBX
# forwards to it wait or end in its voicemail, a few at a time. A travel agency that waits
# for an airline, or an office with a conference bridge in one of the fraud countries, has
# fewer lines: if not, trust the account, or name the country in usual_countries.
rule "calls at once to one number that pays" {
  on     = local.streams
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and abroad
    and (destination_type in ['mobile', 'personal_number'] or destination_country not in local.usual_countries and (destination_country in local.fraud_countries or destination_type == 'premium_rate'))
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = ["user@domain", "destination_number"]
    concurrent = 10
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "ten calls to a premium-rate number" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "nine calls, of a travel agency to an airline" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00448712345678"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
  }

  test "a call after another has ended" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "more-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
    }
    bans = {}
  }

  test "ten calls to a mobile" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a personal number" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447012345678"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "as many mobiles as calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012344<n>"
      ip          = "203.0.113.7"
      uuid        = "more-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
  }

  test "a conference bridge" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00442079461234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
    }
    bans = {}
  }
}

# The same with twenty calls to any number, of a kind and country that the account never called
# before. Twenty people of an office in the first conference in a new country do this:
# trust the account of such an office.
rule "calls at once to one new number abroad" {
  on     = local.streams
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and abroad and new_destination and history_days > 0
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = ["user@domain", "destination_number"]
    concurrent = 20
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "twenty calls" {
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
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 20
      at          = "25h"
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "a conference of twelve" {
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
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 12
      at          = "25h"
    }
    bans = {}
  }

  test "an account that calls there" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00442079461234"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00442079461234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 30
      at          = "25h"
    }
    bans = {}
  }
}

# An account has three calls at once to numbers that pay, in a country that it never called
# before. A company with several lines on one account may, on the first day of business
# with such a country: the rule alerts unless fraud_bans is true. In the first day of the
# guard every country is new.
rule "calls at once to numbers that pay" {
  on     = local.streams
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = "user@domain"
    concurrent = 3
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
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
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
      at          = "25h"
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "two calls" {
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
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 2
      at          = "25h"
    }
    bans = {}
  }

  test "in the first day of the guard" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
  }

  test "an account that calls there" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00252612345678"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0025261234567<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      at          = "49h"
    }
    bans = {}
  }
}

# The same with eight calls, in the first day of the guard as well. A company with as many
# lines on one account may, if it calls such a country every day: name the country in
# usual_countries before fraud_bans is true.
rule "many calls at once to numbers that pay" {
  on     = local.streams
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = "user@domain"
    concurrent = 8
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "eight calls in the first day of the guard" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "005352612345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 8
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "seven calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "005352612345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 7
    }
    bans = {}
  }

  test "an account that calls there" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "005352612345"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "005352612345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 20
      at          = "49h"
    }
    bans = {}
  }
}

# An account has ten calls abroad at once. A trunk with many channels does, also to one
# conference bridge: the rule alerts.
rule "calls at once abroad" {
  on     = local.streams
  match  = "event == 'call' and abroad"
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = "user@domain"
    concurrent = 10
  }

  alert {}

  test "ten calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044207946123<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
    }
    alerts = ["203.0.113.7"]
  }

  test "nine calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044207946123<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    alerts = []
  }
}

# An account has four calls at once, at night, to a country that it never called before. A
# hotel has guests who call such countries, but hardly four at a time; a dialer does: the
# rule alerts unless fraud_bans is true.
rule "calls at once abroad at night" {
  on     = local.streams
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and new_destination and history_days > 0
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = ["user@domain", "destination_country"]
    concurrent = 4
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "four calls at 3" {
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
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 4
      at          = "Wed 03:00"
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
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 3
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
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      at          = "Wed 15:00"
    }
    bans = {}
  }

  test "four countries" {
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
      ip          = "203.0.113.7"
      uuid        = "call-00447400123456"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0033612345678"
      ip          = "203.0.113.7"
      uuid        = "call-0033612345678"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0041791234567"
      ip          = "203.0.113.7"
      uuid        = "call-0041791234567"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:00"
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0048512345678"
      ip          = "203.0.113.7"
      uuid        = "call-0048512345678"
      fields      = { variable_sip_authorized = "true" }
      at          = "Wed 03:00"
    }
    bans = {}
  }
}

# The same with six calls at once to numbers of one country that are no fixed lines, also where
# the account called before. The trunk of a company with business at night may have them: the
# rule alerts unless fraud_bans is true.
rule "many calls at once abroad at night" {
  on     = local.streams
  match  = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and destination_type != 'fixed_line'
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

  threshold {
    per        = ["user@domain", "destination_country"]
    concurrent = 6
  }

  ban {
    enabled = local.fraud_bans
    target  = "user"
    for     = ["10m", "1h", "1d"]
  }

  test "six calls at 3" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 6
      at          = "Wed 03:00"
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "five calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
      at          = "Wed 03:00"
    }
    bans = {}
  }

  test "a conference bridge" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00442079461234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 12
      at          = "Wed 03:00"
    }
    bans = {}
  }

  test "by day" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0044740012345<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
      at          = "Wed 15:00"
    }
    bans = {}
  }
}
