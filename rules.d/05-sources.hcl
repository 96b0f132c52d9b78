# The sources of local.switch by what they can report. 00-site.hcl defines it:
# locals { switch = [source.esl.pbx, source.log.freeswitch] }. It is a list, also of one source.
#
# Event sockets report logins, registrations and calls with all their fields, and callers
# cannot forge what they report. Logs are the others.
locals {
  streams = [for s in local.switch : s if s.kind == "esl"]
  logs    = [for s in local.switch : s if s.kind != "esl"]
}
