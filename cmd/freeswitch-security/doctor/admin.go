package doctor

import "freeswitch-security/cmd/freeswitch-security/daemon"

// ofAdmin judges who may tell the guard what to do.
func (x *exam) ofAdmin() []Finding {
	if x.cfg == nil || !daemon.NeedsNoToken(x.cfg.Admin) {
		return nil
	}
	scheme := "http://"
	if x.cfg.Admin.TLSCert != "" {
		scheme = "https://"
	}
	return []Finding{{info, "every user and program of this host may ban and unban, by " + scheme + x.cfg.Admin.Listen,
		"whoever gets in elsewhere, such as by a web application on this host, can have himself let go",
		"admin {\n  listen = \"\" # the unix socket, which is for its owner alone, is enough for this command line\n}\nor in it: token = env(\"ADMIN_TOKEN\")"}}
}
