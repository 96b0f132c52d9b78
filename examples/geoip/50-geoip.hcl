# Where attackers are. Copy this file to rules.d, name your countries and the databases that you have.

geoip {
  country = "/usr/share/GeoIP/GeoLite2-Country.mmdb"
  asn     = "/usr/share/GeoIP/GeoLite2-ASN.mmdb"
}

locals {
  home = ["DE", "AT", "CH"]
}

# Two wrong passwords from abroad are enough. An address that no database knows is not abroad: country != ''.
# Without that part, this rule would match every address while the database is missing.
rule "password guessing from abroad" {
  on    = local.switch
  match = "event == 'auth_failure' and country != '' and not (country in local.home)"

  threshold {
    count  = 2
    within = "1h"
  }

  ban {
    for = ["1h", "1d", "7d"]
  }

  test "the second failure" {
    given {
      event   = "auth_failure"
      user    = "1000"
      ip      = "203.0.113.7"
      country = "RU"
      times   = 2
      every   = "59m"
    }
    bans = { "203.0.113.7" = "1h" }
  }

  test "at home" {
    given {
      event   = "auth_failure"
      user    = "1000"
      ip      = "203.0.113.7"
      country = "AT"
      times   = 4
    }
    bans = {}
  }

  test "the database is missing, or does not know the address" {
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "203.0.113.7"
      times = 4
    }
    bans = {}
  }
}

# Ten hosts of one network operator fail within an hour: all of them are banned.
# Not the operator of your customers: a fleet of phones with an old password looks the same.
rule "attackers in one network" {
  on    = local.switch
  match = "event == 'auth_failure' and country != '' and not (country in local.home)"

  threshold {
    per      = "asn"
    distinct = "ip"
    count    = 10
    within   = "1h"
  }

  ban {
    all = true
    for = "6h"
  }

  test "ten hosts" {
    given {
      event   = "auth_failure"
      user    = "1000"
      ip      = "203.0.113.<n>"
      country = "RU"
      asn     = "AS64500"
      times   = 9
    }
    given {
      event   = "auth_failure"
      user    = "1000"
      ip      = "198.51.100.1"
      country = "US"
      asn     = "AS64500"
    }
    bans = {
      "198.51.100.1" = "6h"
      "203.0.113.1"  = "6h"
      "203.0.113.2"  = "6h"
      "203.0.113.3"  = "6h"
      "203.0.113.4"  = "6h"
      "203.0.113.5"  = "6h"
      "203.0.113.6"  = "6h"
      "203.0.113.7"  = "6h"
      "203.0.113.8"  = "6h"
      "203.0.113.9"  = "6h"
    }
  }

  test "in two networks" {
    given {
      event   = "auth_failure"
      ip      = "203.0.113.<n>"
      country = "RU"
      asn     = "AS64500"
      times   = 9
    }
    given {
      event   = "auth_failure"
      ip      = "198.51.100.<n>"
      country = "RU"
      asn     = "AS64501"
      times   = 9
    }
    bans = {}
  }

  test "no database knows the network" {
    given {
      event = "auth_failure"
      ip    = "203.0.113.<n>"
      times = 30
    }
    bans = {}
  }
}
