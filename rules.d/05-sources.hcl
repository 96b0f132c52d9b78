# The sources of local.switch by what they can report. 00-site.hcl defines it:
# locals { switch = [source.esl.pbx, source.log.freeswitch, source.sip.wire] }. It is a list, also of one source.
#
# Event sockets report logins, registrations and calls with all their fields, and callers
# cannot forge what they report. Wires report the same from the messages themselves, and
# every other request, garbage included; they know no verto login and no access list, and
# cannot tell an unknown account from a wrong password. Logs are the others.
locals {
  streams = [for s in local.switch : s if s.kind == "esl"]
  wires   = [for s in local.switch : s if s.kind == "sip"]
  logs    = [for s in local.switch : s if s.kind != "esl" && s.kind != "sip"]

  # Streams and logs: sources that report what only the switch knows, such as that there is no
  # such account.
  reports = [for s in local.switch : s if s.kind != "sip"]

  # Streams and wires: sources that report user agents, registrations and calls.
  calls = [for s in local.switch : s if s.kind == "esl" || s.kind == "sip"]
}
