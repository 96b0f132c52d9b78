// The demo runs with this file in the place of rules.d/00-site.hcl.

source "log" "freeswitch" {
  path     = env("DEMO_LOG")
  timezone = "UTC"
}

// The shipped rules also refer to an event socket. This one does not answer.
source "esl" "pbx" {
  address = "127.0.0.1:1"
}

action "iptables" "drop" {}
