# Attacks spread over many addresses, each below every threshold. An honest user who
# mistypes a password twice looks like one of these addresses, so the rules alert and ban
# no address: they name the target. Give the account a long password, or block access to
# it from the Internet.
#
# The log source needs `log-auth-failures` and counts REGISTER only: a failure by INVITE
# names no account there.

# Ten addresses fail on one account in an hour.
rule "distributed guessing" {
  on    = local.switch
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

# Failures on thirty accounts from one network (/24, or IPv6 /48) in six hours: an attacker
# with many adjacent addresses. Only you can tell whether honest users share the network;
# `freeswitch-security ban 203.0.113.0/24` bans all of it.
rule "many accounts from one network" {
  on    = local.switch
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
