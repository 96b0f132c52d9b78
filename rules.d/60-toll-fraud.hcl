# Toll fraud: calls at the expense of the switch's owner. The event socket and the wire
# report calls and whether they were authenticated; the log does not. Only the event socket
# reports when calls are answered and when they end, and the switch behind it can end them:
# with the wire alone, the rules that count answered or open calls are skipped, bans of
# accounts are refused, and the alerts about first calls are what holds.
#
# Where a call goes is read from what was dialled. Without a country in `numbering`
# (00-site.hcl), only numbers with an international prefix are read, and those of your own
# country count as abroad if they are dialled so: set the country.
#
# A rule that bans by default does so for what no customer does; engine/DESIGN.md has the
# figures of a simulation. The others alert, until fraud_bans of 01-fraud.hcl is true. A ban
# of an account ends its calls and removes its registrations; action "accounts" does that.
# Its owner cannot call either: change the password, then unban. Trust accounts that do the
# same as a thief, such as a dialer's: trusted "dialers" { users = ["2000@pbx.example"] }.
locals {
  # Where stolen accounts call and few customers do: a part of the price is paid to the
  # thief. Those that yours call every day belong into usual_countries of 01-fraud.hcl.
  fraud_countries = [
    # International networks and satellites: several euros a minute everywhere, and no
    # country regulates them.
    "001",
    # The Caribbean, dialled as a number in the United States, and Cuba and Haiti, which
    # have the highest prices of a country with ordinary traffic.
    "AG", "AI", "CU", "DM", "GD", "HT", "JM", "KN", "LC", "MS", "TC", "VC", "VG",
    # Islands of the Pacific and elsewhere with few lines: nearly all traffic to their
    # ranges that are not in use is fraud.
    "AC", "CK", "FK", "FM", "KI", "MH", "MV", "NC", "NF", "NR", "NU", "PF", "PG", "SB", "SH", "TK", "TL", "TO", "TV", "VU", "WF", "WS",
    # Africa, where the price is high and ranges are leased to others.
    "BI", "CF", "DJ", "ER", "GM", "GN", "GQ", "GW", "KM", "LR", "SL", "SO", "ST", "TD", "ZW",
    # Without ordinary traffic.
    "KP",
  ]

  # What an attacker without an account dials to find the prefix that dials abroad: 00 or
  # 011, and 0, 9, * or # before those. Of numbers with a + only those of countries with
  # little traffic count, as carriers deliver your own so. 011 is also an area code, of
  # Turin and Delhi, and begins some in Britain, so more digits follow it than those have.
  dials_abroad = "^([*#]?[09]{0,4}(00[1-9][0-9]{6,}|011[1-9][0-9]{8,})|[+](53|220|224|231|232|239|245|252|257|269|500|670|672|674|675|677|678|68[1-35689]|69[012]|850|870|88[0-9]|960|979)[0-9]{5,})$"
}

# Unauthenticated calls that look for the prefix that dials abroad. Three such numbers in
# ten minutes ban. A carrier delivers calls for your own numbers, which do not begin so:
# trust one that delivers them as 0049… and is not a gateway.
#
# The sender of an INVITE may be forged: hence the short first ban and the brake. A ban
# does not end a call that is up; action "esl" does.
rule "toll fraud" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] != 'true' and destination matches local.dials_abroad"

  threshold {
    distinct = "destination"
    count    = 3
    within   = "10m"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the third number in just under ten minutes" {
    given {
      event       = "call"
      destination = "006721983968<n>"
      ip          = "203.0.113.7"
      times       = 3
      every       = "299s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never three numbers in ten minutes" {
    given {
      event       = "call"
      destination = "00672198396<n>"
      ip          = "203.0.113.7"
      times       = 20
      every       = "301s"
    }
    bans = {}
  }

  test "one number, again and again" {
    given {
      event       = "call"
      destination = "0067219839688"
      ip          = "203.0.113.7"
      times       = 20
    }
    bans = {}
  }

  test "a carrier with calls for many numbers" {
    given {
      event       = "call"
      destination = "+493000123<n>"
      ip          = "203.0.113.6"
      times       = 50
    }
    given {
      event       = "call"
      destination = "4930001234<n>"
      ip          = "203.0.113.6"
      times       = 50
    }
    given {
      event       = "call"
      destination = "0301234<n>"
      ip          = "203.0.113.6"
      times       = 50
    }
    given {
      event       = "call"
      destination = "011427264<n>"
      ip          = "203.0.113.6"
      times       = 50
    }
    bans = {}
  }

  test "an account that calls abroad" {
    given {
      event       = "call"
      user        = "1000"
      destination = "0041441234<n>"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 10
    }
    bans = {}
  }
}

# The same for one number dialled again and again: an attacker who found a way out calls
# the number that pays. Ten calls in ten minutes ban.
rule "toll fraud by repetition" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] != 'true' and destination matches local.dials_abroad"

  threshold {
    count  = 10
    within = "10m"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the tenth call in just under ten minutes" {
    given {
      event       = "call"
      destination = "0067219839688"
      ip          = "203.0.113.7"
      times       = 10
      every       = "66s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a little slower, never ten calls in ten minutes" {
    given {
      event       = "call"
      destination = "0067219839688"
      ip          = "203.0.113.7"
      times       = 50
      every       = "67s"
    }
    bans = {}
  }

  test "a carrier with calls for one number" {
    given {
      event       = "call"
      destination = "+4930123456"
      ip          = "203.0.113.6"
      times       = 50
    }
    bans = {}
  }

  test "an account that calls one number abroad" {
    given {
      event       = "call"
      user        = "1000"
      destination = "0041441234567"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 50
    }
    bans = {}
  }
}

# One number with four different prefixes, such as 9972…, 810972…, +972… and 1972…: an
# unauthenticated caller walks through the prefixes that may dial abroad. The number is
# known by its last nine digits. A carrier delivers one of your numbers in one form, or in
# two or three while it changes something.
rule "walking prefixes" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] != 'true' and len(destination) > 10"

  threshold {
    per      = ["ip", "destination_tail"]
    distinct = "destination"
    count    = 4
    within   = "1h"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the fourth prefix in just under an hour" {
    given {
      event       = "call"
      destination = "<n>97259257123"
      ip          = "203.0.113.7"
      times       = 4
      every       = "19m50s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "three prefixes" {
    given {
      event       = "call"
      destination = "<n>97259257123"
      ip          = "203.0.113.7"
      times       = 3
    }
    bans = {}
  }

  test "a carrier that delivers a number in three forms, and many others" {
    given {
      event       = "call"
      destination = "+493012345678"
      ip          = "203.0.113.6"
    }
    given {
      event       = "call"
      destination = "493012345678"
      ip          = "203.0.113.6"
    }
    given {
      event       = "call"
      destination = "00493012345678"
      ip          = "203.0.113.6"
    }
    given {
      event       = "call"
      destination = "+49301234567<n>"
      ip          = "203.0.113.6"
      times       = 200
    }
    bans = {}
  }

  test "an account that tries prefixes" {
    given {
      event       = "call"
      user        = "1000"
      destination = "<n>97259257123"
      ip          = "203.0.113.7"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
  }
}

# The same with another number each time: what is dialled begins in twelve different ways.
# Numbers that a carrier delivers begin in one, or in nine if they are of a whole country
# or have a +. Trust a carrier that delivers numbers of many countries without a +, and
# is not a gateway.
rule "walking prefixes and numbers" {
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] != 'true' and len(destination) > 10"

  threshold {
    distinct = "destination_start"
    count    = 12
    within   = "10m"
  }

  ban {
    for    = ["10m", "2h", "7d"]
    forget = "30d"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the twelfth beginning" {
    given {
      event       = "call"
      destination = "<n>9725925700<n>"
      ip          = "203.0.113.7"
      times       = 20
      every       = "20s"
    }
    bans = { "203.0.113.7" = "10m" }
  }

  test "a carrier with numbers of a whole country" {
    given {
      event       = "call"
      destination = "0<n>123456789"
      ip          = "203.0.113.6"
      times       = 99
    }
    bans = {}
  }

  test "a carrier with numbers of nine zones" {
    given {
      event       = "call"
      destination = "+<n>1234567890"
      ip          = "203.0.113.6"
      times       = 99
    }
    bans = {}
  }

  test "extensions" {
    given {
      event       = "call"
      destination = "<n>0"
      ip          = "203.0.113.6"
      times       = 500
    }
    bans = {}
  }
}

# An account calls a satellite, a premium-rate number or one of the fraud countries, and has
# not in the 90 days before. Many stolen accounts are seen so at the first call. Customers
# do it as well, now and then: the rule alerts, once a day for an account.
rule "first call to a number that pays" {
  on    = local.calls
  match = <<-EOT
    event == 'call' and new_destination
    and destination_country not in local.usual_countries
    and (destination_type in ['premium_rate', 'satellite'] or abroad and destination_country in local.fraud_countries)
  EOT

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
  on    = local.calls
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and guessed and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

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
  on    = local.calls
  match = "event == 'call' and fields['variable_sip_authorized'] == 'true' and guessed and abroad"

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
  on    = local.calls
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_network and new_destination and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

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
  on    = local.calls
  match = "event == 'call' and new_network and new_destination and abroad"

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

# An account has five calls at once to one number that pays. A company whose office in one of
# the fraud countries has a conference bridge may: trust its account, or name the country
# in usual_countries.
rule "calls at once to one number that pays" {
  on    = local.streams
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

  threshold {
    per        = ["user@domain", "destination_number"]
    concurrent = 5
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "five calls to a premium-rate number" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 5
    }
    bans = { "1000@pbx.example.org" = "10m" }
  }

  test "four calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 4
    }
    bans = {}
  }

  test "as many numbers as calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "003719020123<n>"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
  }

  test "one after another" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-1"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-1"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-2"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-2"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-3"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-3"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-4"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-4"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-5"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-5"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-6"
      fields      = { variable_sip_authorized = "true" }
    }
    given {
      event       = "call_ended"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "0037190201234"
      ip          = "203.0.113.7"
      uuid        = "call-6"
      fields      = { variable_sip_authorized = "true" }
    }
    bans = {}
  }
}

# The same with ten calls to one mobile. It takes one call and shows a second one; the calls
# that a PBX forwards to it wait or end in its voicemail, a few at a time.
rule "calls at once to one mobile abroad" {
  on    = local.streams
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and abroad and destination_type == 'mobile'
  EOT

  threshold {
    per        = ["user@domain", "destination_number"]
    concurrent = 10
  }

  ban {
    target = "user"
    for    = ["10m", "1h", "1d"]
  }

  test "ten calls" {
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

  test "nine calls" {
    given {
      event       = "call"
      user        = "1000"
      domain      = "pbx.example.org"
      destination = "00447400123456"
      ip          = "203.0.113.7"
      uuid        = "call-<n>"
      fields      = { variable_sip_authorized = "true" }
      times       = 9
    }
    bans = {}
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
  on    = local.streams
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and abroad and new_destination and history_days > 0
  EOT

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
  on    = local.streams
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

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

# An account has ten calls abroad at once. A trunk with many channels does, also to one
# conference bridge: the rule alerts.
rule "calls at once abroad" {
  on    = local.streams
  match = "event == 'call' and abroad"

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
  on    = local.streams
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and new_destination and history_days > 0
  EOT

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
  on    = local.streams
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and destination_type != 'fixed_line'
  EOT

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

# At night, an account has three calls answered in half an hour by numbers that pay, of a kind
# and country that it never called before, and dials the next one. A person who calls
# relatives in Cuba for the first time has longer calls, or fewer answered ones. In the
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
# account.
rule "many calls abroad at night" {
  on    = local.streams
  match = <<-EOT
    event == 'call_answered' and fields['variable_sip_authorized'] == 'true' and history_days > 0 and night and abroad and (new_network or guessed or new_destination and destination_type != 'fixed_line')
  EOT

  threshold {
    per    = ["user@domain", "destination_country"]
    count  = 10
    within = "30m"
    then   = "event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and (new_network or guessed or new_destination and destination_type != 'fixed_line')"
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

# At night and within an hour, an account calls abroad from three networks that are new to it. A
# thief changes its address at each call. A mobile is in new networks all the time, and such
# accounts have no home; one that was at home for weeks and calls abroad from a train at
# night is banned for ten minutes.
rule "abroad from many networks" {
  on    = local.calls
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and new_network
  EOT

  threshold {
    per      = "user@domain"
    distinct = "ip"
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

# Three accounts that never called such numbers of the country call one number that pays,
# within an hour. All of them are banned, and each further one at its call. A company
# whose employees look for a colleague on a ship may do this once.
rule "one number from many accounts" {
  on    = local.calls
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and new_destination and history_days > 0 and abroad and destination_country not in local.usual_countries
    and (destination_country in local.fraud_countries or destination_type == 'premium_rate')
  EOT

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
  on    = local.calls
  match = <<-EOT
    event == 'call' and fields['variable_sip_authorized'] == 'true' and night and abroad and destination_type == 'mobile' and new_destination and history_days > 0
  EOT

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
