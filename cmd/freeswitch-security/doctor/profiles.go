package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// isOpen reports whether every host can call without a password.
func (p *section) isOpen() bool {
	return p.isNot("auth-calls") && p.param("apply-inbound-acl") == ""
}

// profiles returns the profiles that run; all that are configured, if that is not known.
func (x *exam) profiles() []section {
	if x.sofia == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(x.sofia.Profiles), func(p section) bool {
		return x.running != nil && !slices.Contains(x.running, p.Name)
	})
}

// A profileCheck is a mistake in the configuration of a profile.
type profileCheck struct {
	severity       Severity
	what, why, fix string // what continues "SIP profile internal …"
	wrong          func(p *section) bool
}

var profileChecks = []profileCheck{
	{
		critical, "accepts calls without a password into the dialplan of its own phones",
		"every host can call what these phones can call: toll fraud, within hours of the first scan",
		`<param name="auth-calls" value="true"/>`,
		func(p *section) bool { return p.isOpen() && p.param("context") != "public" },
	}, {
		warning, "accepts calls without a password into the context public",
		"every host can dial what the dialplan has there, and scanners do; no failure is ever logged",
		"<param name=\"apply-inbound-acl\" value=\"carriers\"/> with your carriers in acl.conf.xml\nor <param name=\"auth-calls\" value=\"true\"/>",
		func(p *section) bool { return p.isOpen() && p.param("context") == "public" },
	}, {
		critical, "registers phones without a password (accept-blind-reg)",
		"every host can take over the calls of any extension",
		`<param name="accept-blind-reg" value="false"/>`,
		func(p *section) bool { return p.is("accept-blind-reg") },
	}, {
		critical, "accepts any password (accept-blind-auth)",
		"every host can call as any extension",
		`<param name="accept-blind-auth" value="false"/>`,
		func(p *section) bool { return p.is("accept-blind-auth") },
	}, {
		warning, "lets a phone register an extension with the password of another one",
		"one stolen password is enough to take over the calls of all extensions",
		`<param name="inbound-reg-force-matching-username" value="true"/>`,
		func(p *section) bool {
			return p.isNot("inbound-reg-force-matching-username") && !p.is("disable-register")
		},
	},
}

// logChecks are about profiles whose log is a source.
func (x *exam) logChecks() []profileCheck {
	failures := profileCheck{
		warning, "does not log refused passwords (log-auth-failures)",
		"of password guessing, a log source sees only the extensions that do not exist",
		`<param name="log-auth-failures" value="true"/>`,
		func(p *section) bool { return p.isNot("log-auth-failures") },
	}
	if x.ref == "" {
		failures.severity = critical
	} else {
		failures.severity, failures.why = info, "source."+x.ref+" sees them nevertheless; the log source does not"
	}
	return []profileCheck{failures, {
		warning, "writes every SIP packet into the log (sip-trace)",
		whyTrace,
		`<param name="sip-trace" value="no"/>`,
		func(p *section) bool { return p.is("sip-trace") },
	}}
}

func (x *exam) judgeProfiles() {
	if x.noSofia {
		x.report(warning, "mod_sofia is not loaded", "without it the switch has no SIP", "fs_cli -x 'load mod_sofia'")
		return
	}
	profiles, checks := x.profiles(), profileChecks
	if x.hasLog() {
		checks = slices.Concat(checks, x.logChecks())
	}
	clean := true
	for _, check := range checks {
		var names []string
		for i := range profiles {
			if check.wrong(&profiles[i]) {
				names = append(names, shorten(profiles[i].Name))
			}
		}
		if len(names) > 0 {
			clean = false
			x.report(check.severity, fmt.Sprintf("SIP profile %s %s", strings.Join(names, ", "), check.what), check.why,
				fmt.Sprintf("in %s:\n%s\nthen: fs_cli -x 'sofia profile NAME rescan'", x.confName("sip_profiles/NAME.xml"), check.fix))
		}
	}
	switch {
	case len(profiles) > 0 && clean:
		x.ok("no SIP profile (of %d) accepts calls or registrations without a password", len(profiles))
	case x.running != nil && len(x.running) == 0:
		x.report(warning, "no SIP profile is running", "no phone can register or call", "fs_cli -x 'sofia status'")
	case x.sofia == nil:
		x.report(info, "the settings of the SIP profiles could not be read",
			"they may accept calls or registrations without a password",
			fmt.Sprintf("run this on the host of FreeSWITCH with --freeswitch-conf DIR (not in %s), or make its event socket reachable", x.confDir))
	}
}
