# Requests that nobody authenticates: floods, and calls that are left to hang.
#
# One packet is enough for each, and its sender may be forged. So the thresholds are
# high, the bans short and braked, and whoever has a phone registered is only told of.

# A hundred challenges in four seconds. An office of two hundred phones whose power comes
# back asks for half as many, if they take twenty seconds to start. With keys that show
# who is on the phone they ask for each key as well: thirty phones with thirty keys are
# a flood. They are registered by then and spared, which the log alone does not tell:
# trust such an office where you have no event socket.
rule "unauthenticated flood" {
  on    = [source.esl.pbx, source.log.freeswitch]
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

# Calls that were asked for a password, and left to hang until FreeSWITCH gave up after
# ten seconds: scanners that call instead of registering. A health check that calls
# without a password does the same: have it send OPTIONS, or trust it. Only the event
# tells who.
rule "abandoned calls" {
  on    = [source.esl.pbx]
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

# Calls on a profile that asks nobody for a password, twenty-five in five seconds. A
# carrier that sends as many and is no gateway of the switch must be trusted, also one
# that an access list lets in: the event does not tell of that.
rule "call flood" {
  on    = [source.esl.pbx]
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
