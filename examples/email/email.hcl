# Alerts by mail. Copy this block to rules.d/00-site.hcl.

action "email" "noc" {
  server   = "smtp.example.org"
  user     = "guard@example.org"
  password = env("SMTP_PASSWORD")
  from     = "freeswitch-security <guard@example.org>"
  to       = ["noc@example.org"]
}
