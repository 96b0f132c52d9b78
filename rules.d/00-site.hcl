# Where FreeSWITCH talks, and who is never touched. This is the file to edit first.

security {
  auto_block_enabled = true # false: decide and report, block nobody
  iptables_chain     = "FREESWITCH"
  block_duration     = "1h" # where a rule gives no length of its own

  # Loopback and link-local addresses, and this host's own, are always trusted.
  trusted_networks = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]

  # Whoever has a phone registered is told of instead of banned; in its first hour unless
  # two accounts more fail than are registered. The gateways of the switch are trusted. Both
  # are known from the event socket alone.
  protect = ["registered", "gateways"]
}

# Name the carriers that send calls without being a gateway of the switch (five a second
# are taken for a flood), and large offices: a forged UDP packet bears any sender's
# address.
#
# trusted "carriers" {
#   networks = ["203.0.113.0/24"]
#   comment  = "SIP trunks"
# }

# The event socket is the best source: it needs no setting of the profiles, callers
# cannot forge what it tells, and with it come the warnings of FreeSWITCH's log, of
# which some have no event. Change its password, and keep others away from port 8021.
source "esl" "pbx" {
  address  = "127.0.0.1:8021"
  password = env("ESL_PASSWORD", "ClueCon")
}

# The log is the second source, for the hours in which the event socket cannot be
# reached. It tells of failures where `log-auth-failures` is true in the sofia profile;
# else only of unknown users and access lists.
#
# Callers can write lines into FreeSWITCH's default log. The guard looks for them, and
# reports a log_forgery. Two ways are safer:
#   - a log of its own for the guard, with uuid=false and few source files at level
#     warning: README.md says how;
#   - corroborate, which believes only what the event socket reported as well. Then the
#     log protects nobody while the event socket is out of reach, which is why it is not
#     the default.
source "log" "freeswitch" {
  path = "/var/log/freeswitch/freeswitch.log"

  # corroborate = source.esl.pbx
}

# Bans are dropped in the kernel: one rule of iptables each, an ipset for many. Without
# an action the guard only reports.
action "iptables" "drop" {}

# action "webhook" "noc" {
#   url = env("NOC_WEBHOOK")
# }
#
# Ends the calls of whom a rule bans, and of an account that a rule of 60-toll-fraud.hcl
# alerts about, if it says alert { actions = [action.esl.fraud] }.
#
# action "esl" "fraud" {
#   source = source.esl.pbx
#   hangup = "user" # "ip": all calls of the address
# }

# The HTTP API and what the commands `list`, `block` and `top` ask: on 127.0.0.1:8080
# and a unix socket, for root.
admin {}
