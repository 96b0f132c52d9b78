# Where FreeSWITCH talks, and who is never touched. This is the file to edit first.

security {
  auto_block_enabled = true # false: decide and report, block nobody
  iptables_chain     = "FREESWITCH"
  block_duration     = "1h" # where a rule gives no length of its own

  # Loopback and link-local addresses, and this host's own, are always trusted.
  trusted_networks = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
}

# The rules below need `log-auth-failures` set to true in each sofia profile; without
# it FreeSWITCH writes only "Can't find user" and the rejections of access lists.
#
# Callers can write lines of FreeSWITCH's default log. Give the guard a log of its own,
# with uuid=false, of a few source files at level warning: README.md says how.
source "log" "freeswitch" {
  path = "/var/log/freeswitch/freeswitch.log"
}

# Bans are dropped in the kernel: one rule of iptables each, an ipset for many. Without
# an action the guard only reports.
action "iptables" "drop" {}

# Name your trunks and offices here: a forged UDP packet bears any sender's address.
#
# trusted "carriers" {
#   networks = ["203.0.113.0/24"]
#   comment  = "SIP trunks"
# }
