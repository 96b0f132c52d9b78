# rules.d/05-cluster.hcl on node pbx1 (192.0.2.1); pbx2 has the two addresses, and the
# name of the feed, the other way round. It takes the place of `admin {}` in
# 00-site.hcl: there is one listener.

admin {
  listen   = "192.0.2.1:9443"
  token    = env("CLUSTER_TOKEN") # the same on all nodes: who has it may do everything
  hosts    = ["guard"]            # what a load balancer asks for
  tls_cert = "/etc/freeswitch-security/tls/admin.crt"
  tls_key  = "/etc/freeswitch-security/tls/admin.key"
}

# What pbx2 has banned by itself. What it has from feeds is left out, ours included:
# else each would keep the other's bans alive.
source "feed" "pbx2" {
  url      = "https://192.0.2.2:9443/security/blacklist"
  format   = "json"
  headers  = { Authorization = "Bearer ${env("CLUSTER_TOKEN")}" }
  interval = "1m" # the shortest there is
  max_ttl  = "7d" # also of what is permanent there
  reason   = "banned by pbx2"

  max_bytes   = 134217728 # 28 MB are 100,000 bans without evidence
  max_entries = 100000
}

# The nodes, the address that moves between them, and the load balancer.
trusted "cluster" {
  networks = ["192.0.2.1", "192.0.2.2", "192.0.2.10", "192.0.2.20"]
  comment  = "both nodes, the shared address, the load balancer"
}
