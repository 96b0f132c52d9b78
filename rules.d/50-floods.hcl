# Unauthenticated requests: floods, and calls that are left to hang.
#
# One packet is enough for each, and its sender may be forged. So the thresholds are high,
# the bans short and braked, and an address with a registered phone is spared.

# A hundred challenges in four seconds. After a power cut an office of two hundred phones
# that start within twenty seconds causes half as many. Busy lamp fields add a request for
# each key: thirty phones with thirty keys each reach the threshold. They are registered
# by then and spared. The log does not report registrations: with the log alone, trust such
# an office.
rule "unauthenticated flood" {
  on    = local.switch
  match = "event == 'challenge'"

  threshold {
    count  = 100
    within = "4s"
  }

  ban {
    for = "10m"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the hundredth in just under four seconds" {
    given {
      event = "challenge"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 100
      every = "40ms"
    }
    bans = { "203.0.113.7" = "10m" }
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
      user  = "1000"
      ip    = "203.0.113.7"
      times = 120
      every = "5ms"
    }
    alerts = ["203.0.113.7"]
  }

  test "a little slower, never a hundred in four seconds" {
    given {
      event = "challenge"
      user  = "10<n>"
      ip    = "203.0.113.7"
      times = 500
      every = "41ms"
    }
    bans = {}
  }
}

# Calls that were challenged and left to hang until FreeSWITCH gave up after ten seconds:
# scanners that use INVITE. A health check that calls without a password does the same:
# let it send OPTIONS, or trust it. Only the event socket reports them with the address.
rule "abandoned calls" {
  on    = local.streams
  match = "event == 'wrong_call_state'"

  threshold {
    count  = 5
    within = "10m"
  }

  ban {
    for = "10m"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the fifth call in just under ten minutes" {
    given {
      event = "wrong_call_state"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 5
      every = "149s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a phone that lost its password and redials, never five in ten minutes" {
    given {
      event = "wrong_call_state"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 50
      every = "151s"
    }
    bans = {}
  }
}

# Twenty-five calls in five seconds on a profile that asks for no password. Trust a carrier
# that sends as many and is not a gateway of the switch, also one that an access list
# allows: the event does not report the list.
rule "call flood" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] != 'true'"

  threshold {
    count  = 25
    within = "5s"
  }

  ban {
    for = "10m"
  }

  brake {
    bans   = 10
    within = "10m"
  }

  test "the twenty-fifth in just under five seconds" {
    given {
      event       = "call"
      user        = "flood"
      destination = "90<n>"
      ip          = "203.0.113.7"
      times       = 25
      every       = "205ms"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a carrier, never twenty-five calls in five seconds" {
    given {
      event       = "call"
      user        = "anonymous"
      destination = "+493012345<n>"
      ip          = "203.0.113.6"
      times       = 200
      every       = "210ms"
    }
    bans = {}
  }

  test "a dialer that shows its password" {
    given {
      event       = "call"
      user        = "1000"
      destination = "03012345<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 100
      every       = "50ms"
    }
    bans = {}
  }
}
