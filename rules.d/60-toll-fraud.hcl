# Toll fraud: calls at the expense of the switch's owner. This file has the rules about
# callers without an account, and what holds for all; the files from 62 to 68 are about stolen
# accounts: where they call from and where to, calls at once, call after call, many calls, and
# several accounts.
#
# The event socket and the wire report calls and whether they were authenticated; the log
# does not. Only the event socket reports when calls are answered and when they end, and
# the switch behind it can end them: with the wire alone, the rules that count answered or
# open calls are skipped, bans of accounts are refused, and the alerts about first calls
# are what holds.
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
  on     = local.calls
  match  = "event == 'call' and fields['variable_sip_authorized'] != 'true' and destination matches local.dials_abroad"
  reason = "dialled <destination>"

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
  on     = local.calls
  match  = "event == 'call' and fields['variable_sip_authorized'] != 'true' and destination matches local.dials_abroad"
  reason = "dialled <destination>"

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
  on     = local.calls
  match  = "event == 'call' and fields['variable_sip_authorized'] != 'true' and len(destination) > 10"
  reason = "dialled <destination>"

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
  on     = local.calls
  match  = "event == 'call' and fields['variable_sip_authorized'] != 'true' and len(destination) > 10"
  reason = "dialled <destination>"

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
