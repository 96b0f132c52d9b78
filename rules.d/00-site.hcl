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
# Point `path` at a log with uuid=false where you can: FreeSWITCH's default log lets a
# caller write whole lines of his own. README.md says how to set up such a log.
source "log" "freeswitch" {
  path = "/var/log/freeswitch/freeswitch.log"
}

# Name your trunks and offices here: a forged UDP packet bears any sender's address.
#
# trusted "carriers" {
#   networks = ["203.0.113.0/24"]
#   comment  = "SIP trunks"
# }
