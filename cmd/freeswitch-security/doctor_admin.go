package main

import "freeswitch-security/engine/config"

// isOpen tells whether every user and program of this host may do everything by
// the admin listener: on a loopback address it needs no token.
func isOpen(a *config.Admin) bool {
	return a != nil && a.Listen != "" && a.Token == "" && a.ClientCA == ""
}

// ofAdmin judges who may tell the guard what to do.
func (x *exam) ofAdmin() []diagnosis {
	if x.cfg == nil || !isOpen(x.cfg.Admin) {
		return nil
	}
	scheme := "http://"
	if x.cfg.Admin.TLSCert != "" {
		scheme = "https://"
	}
	return []diagnosis{{info, "every user and program of this host may block and unblock, by " + scheme + x.cfg.Admin.Listen,
		"whoever gets in elsewhere, such as by a web application on this host, can have himself let go",
		"admin {\n  listen = \"\" # the unix socket, which is for its owner alone, is enough for this command line\n}\nor in it: token = env(\"ADMIN_TOKEN\")"}}
}
