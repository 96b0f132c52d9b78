# rules.d/05-cluster.hcl on node pbx1 (192.0.2.1). On pbx2 swap the two addresses and the
# name of the feed. It replaces `admin {}` of 00-site.hcl: there is one listener.

admin {
  listen   = "192.0.2.1:9443"
  token    = env("CLUSTER_TOKEN") # the same on all nodes; it allows everything
  hosts    = ["guard"]            # the Host header of a load balancer
  tls_cert = "/etc/freeswitch-security/tls/admin.crt"
  tls_key  = "/etc/freeswitch-security/tls/admin.key"
}

# The bans that pbx2 made itself. Its list leaves out bans from feeds, ours included;
# otherwise each node would keep the other's bans alive.
source "feed" "pbx2" {
  url      = "https://192.0.2.2:9443/security/blacklist"
  format   = "json"
  headers  = { Authorization = "Bearer ${env("CLUSTER_TOKEN")}" }
  interval = "1m" # the minimum
  max_ttl  = "7d" # also for bans that are permanent there
  reason   = "banned by pbx2"

  max_bytes   = 134217728 # 28 MB are 100,000 bans without evidence
  max_entries = 100000
}

# The nodes, their shared address, and the load balancer.
trusted "cluster" {
  networks = ["192.0.2.1", "192.0.2.2", "192.0.2.10", "192.0.2.20"]
  comment  = "both nodes, the shared address, the load balancer"
}
