// The demo runs with this file in the place of rules.d/00-site.hcl.

source "log" "freeswitch" {
  path     = env("DEMO_LOG")
  timezone = "UTC"
}

locals {
  switch = [source.log.freeswitch]
}

action "iptables" "drop" {}
