# rules.d/05-fleet.hcl of the guard sbc3.

fleet {
  servers  = ["tls://192.0.2.10:4222"]
  node     = "sbc3"
  user     = "sbc3"
  password = env("NATS_PASSWORD") # SBC3_PASSWORD of the server

  tls {
    ca = "/etc/freeswitch-security/tls/nats-ca.crt"
  }
}

# The server shares its host with no attacker: a ban of it would end the fleet.
trusted "fleet" {
  networks = ["192.0.2.10"]
  comment  = "the NATS server"
}
