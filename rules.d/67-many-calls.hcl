# Many calls of one account, that may be a customer's: these rules alert, and end no call.
# 60-toll-fraud.hcl has what holds for all rules about toll fraud.

# An account calls ten different numbers abroad in ten minutes. Only you can tell a stolen
# account from a busy one, so the rule alerts. If no account calls abroad, add
# ban { target = "user" }.
rule "calls abroad" {
  on     = local.calls
  match  = "event == 'call' and abroad"
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
  on     = local.calls
  match  = <<-EOT
    event == 'call' and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT
  reason = "called <destination_number> (<destination_country>, <destination_type>)"

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
