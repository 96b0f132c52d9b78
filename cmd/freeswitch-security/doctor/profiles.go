package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// A sipProfile is one of mod_sofia's, as it is configured.
type sipProfile struct {
	name   string
	params map[string]string
}

func (p *sipProfile) is(param string) bool { return isTrue(p.params[param]) }

// isNot is the opposite of is, but for what is not known.
func (p *sipProfile) isNot(param string) bool { return !p.is(param) && !isUnresolved(p.params[param]) }

// isOpen reports whether anybody may call, without a password and from anywhere.
func (p *sipProfile) isOpen() bool {
	return p.isNot("auth-calls") && p.params["apply-inbound-acl"] == ""
}

// profiles are those that run, or all that are configured if that is not known.
func (x *exam) profiles() []sipProfile {
	var profiles []sipProfile
	for _, e := range x.sofia.all("profile") {
		p := sipProfile{shorten(e.attr("name")), e.params()}
		if x.running == nil || slices.Contains(x.running, e.attr("name")) {
			profiles = append(profiles, p)
		}
	}
	return profiles
}

// A profileCheck is something that a SIP profile should or should not be.
type profileCheck struct {
	Severity       Severity
	what, why, fix string // what continues "SIP profile internal …"
	wrong          func(p *sipProfile) bool
}

var profileChecks = []profileCheck{
	{
		critical, "takes calls from anybody, straight into the dialplan of its own phones",
		"who finds it calls wherever these phones may: that is toll fraud, within hours of the first scan",
		`<param name="auth-calls" value="true"/>`,
		func(p *sipProfile) bool { return p.isOpen() && p.params["context"] != "public" },
	}, {
		warning, "takes calls from anybody into the context public",
		"whatever the dialplan has there, anybody may dial, and scanners do; no failure is ever logged",
		"<param name=\"apply-inbound-acl\" value=\"carriers\"/> with your carriers in acl.conf.xml\nor <param name=\"auth-calls\" value=\"true\"/>",
		func(p *sipProfile) bool { return p.isOpen() && p.params["context"] == "public" },
	}, {
		critical, "registers anybody without a password (accept-blind-reg)",
		"anybody can take over the calls of any extension",
		`<param name="accept-blind-reg" value="false"/>`,
		func(p *sipProfile) bool { return p.is("accept-blind-reg") },
	}, {
		critical, "takes any password for a good one (accept-blind-auth)",
		"anybody can call as any extension",
		`<param name="accept-blind-auth" value="false"/>`,
		func(p *sipProfile) bool { return p.is("accept-blind-auth") },
	}, {
		warning, "lets a phone register an extension with the password of another one",
		"one stolen password is enough to take over the calls of all extensions",
		`<param name="inbound-reg-force-matching-username" value="true"/>`,
		func(p *sipProfile) bool {
			return p.isNot("inbound-reg-force-matching-username") && !p.is("disable-register")
		},
	},
}

// ofProfiles judges the SIP profiles.
func (x *exam) ofProfiles() []Finding {
	var found []Finding
	if x.noSofia {
		return []Finding{{warning, "mod_sofia is not loaded", "without it the switch speaks no SIP, and there is nothing to guard but its other doors", "fs_cli -x 'load mod_sofia'"}}
	}
	profiles := x.profiles()
	checks := profileChecks
	if x.hasLog() {
		checks = append(slices.Clone(checks), x.logChecks()...)
	}
	for _, check := range checks {
		var names []string
		for i := range profiles {
			if check.wrong(&profiles[i]) {
				names = append(names, profiles[i].name)
			}
		}
		if len(names) == 0 {
			continue
		}
		where := "in " + x.confName("sip_profiles/NAME.xml") + ":\n"
		found = append(found, Finding{check.Severity, fmt.Sprintf("SIP profile %s %s", strings.Join(names, ", "), check.what), check.why,
			where + check.fix + "\nthen: fs_cli -x 'sofia profile NAME rescan'"})
	}
	switch {
	case len(profiles) > 0 && len(found) == 0:
		found = append(found, Finding{Severity: healthy, What: fmt.Sprintf("no SIP profile (of %d) lets anybody in without a password", len(profiles))})
	case x.running != nil && len(x.running) == 0:
		found = append(found, Finding{warning, "no SIP profile is running", "nobody can register or call", "fs_cli -x 'sofia status'"})
	case x.sofia == nil:
		found = append(found, Finding{info, "the settings of the SIP profiles could not be read",
			"whether they let anybody in without a password is not known",
			fmt.Sprintf("run this where FreeSWITCH runs, with --freeswitch-conf DIR (%s was tried), or reach its event socket", x.confDir)})
	}
	return found
}

// logChecks are about profiles whose log is read.
func (x *exam) logChecks() []profileCheck {
	failures := profileCheck{
		warning, "does not log refused passwords (log-auth-failures)",
		"a log source sees of password guessing only the extensions that do not exist",
		`<param name="log-auth-failures" value="true"/>`,
		func(p *sipProfile) bool { return p.isNot("log-auth-failures") },
	}
	if x.ref != "" {
		failures.Severity, failures.why = info, "source."+x.ref+" sees them all the same; the log source does not"
	}
	return []profileCheck{failures, {
		warning, "writes every SIP packet into the log (sip-trace)",
		whyTrace,
		`<param name="sip-trace" value="no"/>`,
		func(p *sipProfile) bool { return p.is("sip-trace") },
	}}
}
