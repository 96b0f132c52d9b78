# This site: its sources, its actions, and the addresses that are never banned. Edit this
# file first.

security {
  auto_block_enabled = true # false: decide and report, ban no address
  iptables_chain     = "FREESWITCH"
  block_duration     = "1h" # for rules that set no term

  # Loopback and link-local addresses and those of this host are always trusted.
  trusted_networks = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]

  # "registered": an address with a registered phone triggers an alert instead of a ban, up
  # to the limit below. The event socket and the wire report registrations. "gateways": the
  # gateways of the switch are trusted; only the event socket reports them. "dialogues": an
  # address that logged in, or had a call answered, in the last 24 hours is not banned for
  # what anyone can send in its name; it concerns what the wire reports.
  protect = ["registered", "gateways", "dialogues"]

  # How often a protected address may fail in an hour at accounts of others, where the sender
  # may be forged: over UDP, without the wire. 120: an office with a bad phone works all day,
  # and so does an attacker with an account, at 120 guesses an hour. 20: neither does.
  # What is proven is limited to 20 an hour and 60 a day.
  # protected_failures = 120
}

# Where calls go and when the site works, for the rules about toll fraud. Without a country
# only numbers with an international prefix are read.
#
# A call to an emergency number is never ended: those of the country (without one, of any),
# 112, 911, and yours. The prefixes are the country's if you leave them out. If your phones
# always dial 0 for a line, 0030… is Berlin: write line = [], trunk = ["00"] and
# international = ["000", "+"].
numbering {
  # country       = "DE"
  # international = ["00", "+"]
  # trunk         = ["0"]
  # line          = ["0", "9"]
  # emergency     = ["116117"]
  # hours         = "Mon-Fri 07:00-19:00, Sat 09:00-13:00" # default: "Mon-Sun 06:00-22:00"
  # timezone      = "Europe/Berlin"                        # default: the host's
}

# Trust carriers that send calls without being a gateway of the switch (five a second look
# like a flood), and large offices: a forged UDP packet can bear any source address.
#
# trusted "carriers" {
#   networks = ["203.0.113.0/24"]
#   comment  = "SIP trunks"
# }

# The event socket is the best source: it needs no setting in the profiles, callers cannot
# forge its reports, and it delivers the warnings of FreeSWITCH's log, some of which have
# no event. Change its password and close port 8021 to others.
source "esl" "pbx" {
  address  = "127.0.0.1:8021"
  password = env("ESL_PASSWORD", "ClueCon")
}

# The log is the second source, for times when the event socket is unreachable. It reports
# failures if `log-auth-failures` is true in the sofia profile; otherwise only unknown users
# and access lists.
#
# Callers can write lines into FreeSWITCH's default log. The guard detects them and reports
# a log_forgery. Two ways are safer:
#   - a separate log for the guard, with uuid=false and few source files at level warning;
#     sources/logfile/README.md shows how;
#   - corroborate: only what the event socket reported as well is believed. The log then
#     protects nothing while the event socket is unreachable, so it is not the default.
source "log" "freeswitch" {
  path = "/var/log/freeswitch/freeswitch.log"

  # corroborate = source.esl.pbx
}

# FreeSWITCH's log in systemd's journal, instead of a file. Add its name to the list below:
#
# source "journal" "freeswitch" {
#   unit = "freeswitch.service"
# }

# SIP on the wire: what FreeSWITCH never reports, such as OPTIONS scans, guessing by MESSAGE
# and garbage. FreeSWITCH mirrors every message to this port once capture is on; until then
# this source hears nothing. The first line is for sofia.conf.xml, the second for each
# profile; in its place, `capture = true` in the block of the event socket does it at run
# time:
#
#   <param name="capture-server" value="udp:127.0.0.1:9060;hep=3;capture_id=100"/>
#   <param name="sip-capture" value="yes"/>
#
# Every local program can send to the port, and so can have an address banned. Another
# address than loopback needs `from`; sources/sip/README.md has the rest.
source "sip" "wire" {
  listen = "127.0.0.1:9060"
}

# The sources that the shipped rules read. Add a source here, and the rules read it.
#
# One source is enough: write enabled = false into the blocks of the others, or remove a block
# and its name here and in the actions below. Rules and actions that need the others are skipped, and
# `check` says which.
locals {
  switch = [source.esl.pbx, source.log.freeswitch, source.sip.wire]
}

# Drops banned addresses in the kernel: one iptables rule each, an ipset for many. Without
# an action the guard only reports.
action "iptables" "drop" {}

# Holds bans of accounts at the switch, as long as they stand: ends every call that a banned account
# makes, and flushes its registrations. A call to an emergency number is never ended. If the source is
# disabled, the action is left out, and bans of accounts are refused.
action "accounts" "pbx" { source = source.esl.pbx }

# action "webhook" "noc" {
#   url = env("NOC_WEBHOOK")
# }
#
# Ends the calls of a banned address, and of an account that a rule about toll fraud
# alerts about if that rule says alert { actions = [action.esl.fraud] }.
#
# action "esl" "fraud" {
#   source = source.esl.pbx
#   hangup = "user" # "ip": all calls of the address
# }

# The HTTP API, used by commands such as `list`, `ban` and `top`: on 127.0.0.1:8080, and on
# a unix socket for root.
admin {}
