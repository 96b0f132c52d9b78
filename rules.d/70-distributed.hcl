# Attacks spread over many addresses, each below every threshold. An honest user who
# mistypes a password twice looks like one of these addresses, so most rules alert and ban
# no address: they name the target. Give the account a long password, or block access to
# it from the Internet. Adjacent addresses are banned together.
#
# The log source needs `log-auth-failures` and counts REGISTER only: a failure by INVITE
# names no account there.
#
# In a fleet these rules count what all nodes report (scope = "fleet"); without one, what this
# guard sees.

# Ten addresses fail on one account in an hour.
rule "distributed guessing" {
  on    = local.switch
  scope = "fleet"
  match = "event in ['auth_failure', 'unknown_user']"

  threshold {
    per      = "user@domain"
    distinct = "ip"
    count    = 10
    within   = "1h"
  }

  alert {}

  test "one account, and the tenth address in just under an hour" {
    given {
      source = local.logs
      event  = "unknown_user"
      user   = "1000"
      domain = "10.77.0.10"
      ip     = "203.0.113.100"
    }
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip 203.0.113.<n>"
      times  = 9
      every  = "7m20s"
      at     = "1s"
    }
    alerts = ["203.0.113.9"]
  }

  test "nine addresses at each of two switches of a fleet" {
    given {
      node   = "sbc1"
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.<n>"
      times  = 9
    }
    given {
      node   = "sbc2"
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.<n>"
      times  = 9
    }
    given {
      node   = "sbc2"
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "198.51.100.1"
    }
    alerts = ["198.51.100.1"]
  }

  test "a little slower, never ten addresses in an hour" {
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip 203.0.113.<n>"
      times  = 50
      every  = "6m50s"
    }
    alerts = []
  }

  test "ten addresses, each with an account of its own" {
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [100<n>@10.77.0.10] from ip 203.0.113.<n>"
      times  = 10
    }
    alerts = []
  }

  test "one address that does not give up" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 50
    }
    alerts = []
  }
}

# Two hundred addresses fail in one domain in six hours, each perhaps once and on an
# account of its own.
rule "distributed attack on a domain" {
  on    = local.switch
  scope = "fleet"
  match = "event in ['auth_failure', 'unknown_user']"

  threshold {
    per      = "domain"
    distinct = "ip"
    count    = 200
    within   = "6h"
  }

  alert {}

  test "the two-hundredth address in just under six hours" {
    given {
      source = local.logs
      event  = "unknown_user"
      user   = "1000"
      domain = "10.77.0.10"
      ip     = "203.0.113.250"
    }
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1<n>@10.77.0.10] from ip 203.0.113.<n>"
      times  = 199
      every  = "108s"
      at     = "1s"
    }
    alerts = ["203.0.113.199"]
  }

  test "a day on which many mistype their passwords, never two hundred in six hours" {
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1<n>@10.77.0.10] from ip 203.0.113.<n>"
      times  = 250
      every  = "109s"
    }
    alerts = []
  }

  test "one address that does not give up" {
    given {
      event  = "auth_failure"
      user   = "1000"
      domain = "pbx.example.org"
      ip     = "203.0.113.7"
      times  = 500
    }
    alerts = []
  }
}

# Twenty /64 of an IPv6 /48 fail in six hours: an attacker that uses each of its addresses for a
# guess or a few. The network is banned, but for its hosts with a registered phone or a dialogue. It
# is not banned if as many accounts are registered in it as hosts fail: in the network of a provider
# most phones work, and an attacker has few accounts.
#
# Twenty forged packets ban the rest of a network: hence the short first ban and the brake. The log
# reports no registrations: with the log alone, trust the networks of providers whose customers are
# yours.
#
# Addresses of NAT64 and 6to4 are IPv4 hosts, and belong to the next rule. Add a NAT64 prefix of
# your own to both.
rule "guessing from one IPv6 network" {
  on    = local.switch
  scope = "fleet"
  match = <<-EOT
    event in ['auth_failure', 'unknown_user'] and in_network(ip, '::/0')
    and not (in_network(ip, '64:ff9b::/96') or in_network(ip, '2002::/16'))
  EOT

  threshold {
    per      = "ip/24,48"
    distinct = "ip"
    count    = 20
    within   = "6h"
  }

  ban {
    for     = ["10m", "1h", "6h", "1d"]
    forget  = "7d"
    network = "24,48"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "the twentieth /64, each with one guess" {
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "2001:db8:7:<n>::1"
      times = 20
      every = "10m"
    }
    bans = { "2001:db8:7::/48" = "10m" }
  }

  test "a little slower, never twenty in six hours" {
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "2001:db8:7:<n>::1"
      times = 100
      every = "19m"
    }
    bans = {}
  }

  test "several guesses from each /64" {
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "2001:db8:7:<n>::1"
      times = 19
    }
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "2001:db8:7:<n>::2"
      times = 19
    }
    given {
      event = "unknown_user"
      user  = "1000"
      ip    = "2001:db8:7:99::1"
    }
    bans = { "2001:db8:7::/48" = "10m" }
  }

  test "many IPv4 hosts behind NAT64" {
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "64:ff9b::c633:64<n>"
      times = 99
    }
    bans = {}
  }

  test "one /64 with many addresses is one host" {
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "2001:db8:7:1::<n>"
      times = 100
    }
    bans = {}
  }

  test "one account of the attacker shields its own /64 alone" {
    given {
      event  = "registered"
      user   = "1001"
      ip     = "2001:db8:7::1"
      fields = { authenticated = "true", expires = "86400" }
    }
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "2001:db8:7:<n>::1"
      times = 20
    }
    bans = {
      "2001:db8:7:1::/64"    = "10m"
      "2001:db8:7:2::/63"    = "10m"
      "2001:db8:7:4::/62"    = "10m"
      "2001:db8:7:8::/61"    = "10m"
      "2001:db8:7:10::/60"   = "10m"
      "2001:db8:7:20::/59"   = "10m"
      "2001:db8:7:40::/58"   = "10m"
      "2001:db8:7:80::/57"   = "10m"
      "2001:db8:7:100::/56"  = "10m"
      "2001:db8:7:200::/55"  = "10m"
      "2001:db8:7:400::/54"  = "10m"
      "2001:db8:7:800::/53"  = "10m"
      "2001:db8:7:1000::/52" = "10m"
      "2001:db8:7:2000::/51" = "10m"
      "2001:db8:7:4000::/50" = "10m"
      "2001:db8:7:8000::/49" = "10m"
    }
  }

  test "the network of a provider with as many phones that work" {
    given {
      event  = "registered"
      user   = "20<n>"
      ip     = "2001:db8:7:2<n>::1"
      fields = { authenticated = "true", expires = "86400" }
      times  = 20
    }
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "2001:db8:7:<n>::1"
      times = 20
    }
    bans   = {}
    alerts = ["2001:db8:7::/48"]
  }
}

# The same for an IPv4 /24, of which 160 addresses fail in six hours: most of it attacks. Unlike
# an IPv6 /48, it often has many owners, and below that each address is met on its own.
rule "guessing from one IPv4 network" {
  on    = local.switch
  scope = "fleet"
  match = <<-EOT
    event in ['auth_failure', 'unknown_user']
    and (in_network(ip, '0.0.0.0/0') or in_network(ip, '64:ff9b::/96') or in_network(ip, '2002::/16'))
  EOT

  threshold {
    per      = "ip/24"
    distinct = "ip"
    count    = 160
    within   = "6h"
  }

  ban {
    for     = ["10m", "1h", "6h", "1d"]
    forget  = "7d"
    network = "24"
  }

  brake {
    bans   = 20
    within = "10m"
  }

  test "as many at two switches of a fleet" {
    given {
      node  = "sbc1"
      event = "auth_failure"
      user  = "10<n>"
      ip    = "203.0.113.<n>"
      times = 159
    }
    given {
      node  = "sbc2"
      event = "unknown_user"
      user  = "1000"
      ip    = "203.0.113.250"
    }
    bans = { "203.0.113.0/24" = "10m" }
  }

  test "the 160th address, each with one guess" {
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "203.0.113.<n>"
      times = 160
      every = "80s"
    }
    bans = { "203.0.113.0/24" = "10m" }
  }

  test "a little slower, never 160 in six hours" {
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "203.0.113.<n>"
      times = 200
      every = "2m17s"
    }
    bans = {}
  }

  test "a registered phone in it goes on" {
    given {
      event  = "registered"
      user   = "1001"
      ip     = "203.0.113.255"
      fields = { authenticated = "true", expires = "86400" }
    }
    given {
      event = "auth_failure"
      user  = "10<n>"
      ip    = "203.0.113.<n>"
      times = 160
    }
    bans = {
      "203.0.113.0/25"   = "10m"
      "203.0.113.128/26" = "10m"
      "203.0.113.192/27" = "10m"
      "203.0.113.224/28" = "10m"
      "203.0.113.240/29" = "10m"
      "203.0.113.248/30" = "10m"
      "203.0.113.252/31" = "10m"
      "203.0.113.254/32" = "10m"
    }
  }
}

# Failures on thirty accounts from one network (/24, or IPv6 /48) in six hours: an attacker
# with many adjacent addresses. Only you can tell whether honest users share the network;
# `freeswitch-security ban 203.0.113.0/24` bans all of it.
rule "many accounts from one network" {
  on    = local.switch
  scope = "fleet"
  match = "event in ['auth_failure', 'unknown_user']"

  threshold {
    per      = "ip/24,48"
    distinct = "user"
    count    = 30
    within   = "6h"
  }

  alert {}

  test "the thirtieth account in just under six hours" {
    given {
      source = local.logs
      event  = "unknown_user"
      user   = "1000"
      domain = "10.77.0.10"
      ip     = "203.0.113.250"
    }
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [10<n>@10.77.0.10] from ip 203.0.113.<n>"
      times  = 29
      every  = "12m45s"
      at     = "1s"
    }
    alerts = ["203.0.113.29"]
  }

  test "a little slower, never thirty accounts in six hours" {
    given {
      source = local.logs
      line   = "2026-11-22 22:14:04.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [10<n>@10.77.0.10] from ip 203.0.113.<n>"
      times  = 100
      every  = "12m50s"
    }
    alerts = []
  }

  test "an office where three phones fail" {
    given {
      event = "auth_failure"
      user  = "1000"
      ip    = "203.0.113.30"
      times = 50
    }
    given {
      event = "auth_failure"
      user  = "1001"
      ip    = "203.0.113.30"
      times = 50
    }
    given {
      event = "auth_failure"
      user  = "1002"
      ip    = "203.0.113.31"
      times = 50
    }
    alerts = []
  }
}
