# The sources of local.switch, which 00-site.hcl names, by what they can report. Event
# sockets report logins, registrations and calls with all their fields, and callers cannot
# forge what they report. Logs are the others.
locals {
  streams = [for s in local.switch : s if s.kind == "esl"]
  logs    = [for s in local.switch : s if s.kind != "esl"]
}
