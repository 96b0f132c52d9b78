package main

import (
	"freeswitch-security/actions/email"
	eslaction "freeswitch-security/actions/esl"
	"freeswitch-security/actions/iptables"
	"freeswitch-security/actions/webhook"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/plugin"
	eslsource "freeswitch-security/sources/esl"
	"freeswitch-security/sources/feed"
	"freeswitch-security/sources/logfile"
	"freeswitch-security/sources/sip"
)

// kinds are the sources and actions that rule files can declare. A new plugin is one folder and one
// line here.
var kinds = config.Kinds{
	Sources: []plugin.SourceKind{
		logfile.Kind,
		logfile.Journal,
		eslsource.Kind(logfile.Builtin, logfile.Framed),
		sip.Kind,
		feed.Kind,
	},
	Actions: []plugin.ActionKind{
		iptables.Kind,
		eslaction.Kind,
		eslaction.AccountsKind,
		webhook.Kind,
		email.Kind(history.Mask, history.MaskReason),
	},
}
