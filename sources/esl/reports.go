package esl

import (
	"maps"
	"slices"
	"strings"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// headers are those of a message of the switch, by name.
type headers = map[string]string

// A report is one row of what the switch reports: which of its events become which
// events, and where the fields come from. A name may have several rows; the first that
// applies and has fields becomes an event.
type report struct {
	name  string             // as of [esl.Message.Name]
	event string             // that it becomes or contributes to
	when  func(headers) bool // the row applies; nil: always
	from  string             // "field=header …"; "": it only contributes
	few   bool               // it has no raw fields but those of from and reads

	refine func(*decoder, *event.Event, headers) // sets fields that depend on several headers
	reads  string                                // other headers, which refine reads or rules are to have
	sets   string                                // other fields, typed or raw, that the event may have
	then   func(*decoder, headers)               // called where the row applies

	ip, port string           // headers of the address, parsed from the column from
	texts    []textHeader     // of the other fields
	spec     plugin.EventSpec // its raw fields are headers, to which dialplans and directories add
}

// A textHeader is the header of a text field.
type textHeader struct {
	at     func(*event.Event) *string
	header string
}

// Headers of the sender, in most events of sofia.
//
// Trap: "from" and "to" change their meaning. In pre_register, register_attempt and
// register, "from" is the To header, and "to" the From header. In register_failure,
// "to" is the To header. For a REGISTER both name the account, for an INVITE the To
// header is the dialled number.
const ofSofia = "ip=network-ip port=network-port profile=profile-name call_id=call-id user_agent=user-agent "

const ofChannel = "ip=Caller-Network-Addr port=variable_sip_network_port user=variable_sip_from_user domain=variable_sip_from_host " +
	"destination=Caller-Destination-Number to_user=variable_sip_to_user call_id=variable_sip_call_id " +
	"user_agent=variable_sip_user_agent transport=variable_sip_via_protocol profile=variable_sofia_profile_name uuid=Unique-ID"

const ofChannelToo = "variable_sip_network_ip variable_sip_authorized variable_sip_auth_username variable_sip_auth_realm variable_user_name variable_domain_name " +
	"variable_requested_user_name variable_requested_domain_name Caller-Source Caller-Username"

const ofGateway = "ip=Register-Network-IP port=Register-Network-Port profile=profile-name"

// ofEngine are the headers that the engine reads as raw fields.
const ofEngine = " contact domain_name expires sip_auth_realm sip_auth_username username " +
	"variable_sip_auth_realm variable_sip_auth_username variable_sip_authorized"

// ofMessage are the headers that are read of messages, and not to be raw fields.
var ofMessage = []string{
	"Event-Name", "Event-Subclass", "Event-Date-Timestamp", "Core-UUID", "API-Command", "API-Command-Argument", "module_name", "Log-File",
	"Call-Direction", "Channel-Name", "Caller-Channel-Created-Time", "Ping-Status", "State", "verto_success",
}

// reports is the table of what the switch reports. A new event of FreeSWITCH is a row.
var reports = parse([]report{
	// FreeSWITCH sends it for REGISTER, INVITE, SUBSCRIBE and MESSAGE.
	{name: "sofia::pre_register", event: event.Challenge, from: ofSofia + "user=to-user domain=to-host to_user=from-user",
		refine: refineChallenge, sets: "destination"},
	{name: "sofia::register_attempt", event: event.AuthSuccess, when: has("auth-result", "SUCCESS", "RENEWED"),
		from: ofSofia + "to_user=from-user", refine: refineDigest, reads: "username realm to-user to-host auth-result", sets: "user domain destination"},
	{name: "sofia::register_attempt", event: event.AuthStale, when: has("auth-result", "STALE"),
		from: ofSofia + "to_user=from-user", refine: refineDigest, reads: "username realm to-user to-host auth-result", sets: "user domain destination"},
	// Of a failure, only the attempt has the account and the Call-ID, and only the
	// failure has the method.
	{name: "sofia::register_attempt", event: event.AuthFailure, when: has("auth-result", "FORBIDDEN"), then: (*decoder).noteAttempt},
	{name: "sofia::register_failure", event: event.AuthFailure, from: ofSofia + "method=registration-type user=to-user domain=to-host to_user=to-user",
		refine: (*decoder).refineFailure, sets: "destination repeat"},
	{name: "sofia::register", event: event.Registered, from: ofSofia + "user=from-user domain=from-host",
		refine: refineRegistered, reads: "username sip_auth_username sip-allow-multiple-registrations",
		sets: "authenticated multiple_registrations expires url transport repeat"},
	{name: "sofia::unregister", event: event.Unregistered, from: ofSofia + "user=from-user domain=from-host"},
	{name: "sofia::expire", event: event.Unregistered, from: ofSofia + "user=user domain=host"},
	{name: "sofia::wrong_call_state", event: event.WrongCallState, from: "ip=network_ip port=network_port user=from_user"},
	{name: "sofia::gateway_add", event: event.Gateway, then: (*decoder).noteGateways},
	{name: "sofia::gateway_state", event: event.Gateway, when: has("Ping-Status", "UP"), then: (*decoder).noteGateways},
	{name: "sofia::gateway_state", event: event.Gateway, when: has("State", "REGED"), then: (*decoder).noteGateways},
	{name: "sofia::gateway_state", event: event.Gateway, when: isRegisteredGateway, from: ofGateway, refine: refineGateway, reads: "Gateway", sets: "gateway"},
	{name: "sofia::gateway_delete", event: event.Gateway, then: (*decoder).noteGateways},
	{name: "sofia::gateway_delete", event: event.GatewayRemoved, from: ofGateway, refine: refineGateway, reads: "Gateway", sets: "gateway", then: (*decoder).noteGateways},
	{name: "verto::login", event: event.VertoLoginFailure, when: has("verto_success", "0"),
		from: "user=verto_login profile=verto_profile_name", refine: refineVerto, reads: "verto_client_address", sets: "ip port domain proven"},
	{name: "CHANNEL_CREATE", event: event.Call, when: isIncoming, from: ofChannel, refine: refineCall, reads: ofChannelToo, sets: "authenticated"},
	{name: "CHANNEL_ANSWER", event: event.CallAnswered, when: isIncoming, from: ofChannel, refine: refineCall, reads: ofChannelToo, sets: "authenticated"},
	{name: "CHANNEL_HANGUP_COMPLETE", event: event.CallRejected, when: isRejected, from: ofChannel, refine: refineCall, reads: ofChannelToo, sets: "authenticated"},
	{name: "CHANNEL_HANGUP_COMPLETE", event: event.CallEnded, when: isIncoming, from: ofChannel, few: true, refine: refineCall,
		reads: ofChannelToo + " Hangup-Cause variable_billsec variable_duration", sets: "authenticated"},
})

// has returns whether the header has one of the values.
func has(header string, values ...string) func(headers) bool {
	return func(h headers) bool { return slices.Contains(values, h[header]) }
}

// parse reads the columns of names, and panics on the name of a field that does not exist.
func parse(rows []report) []report {
	for i := range rows {
		r := &rows[i]
		r.spec = plugin.EventSpec{Name: r.event, Raw: strings.Fields(r.reads), Open: !r.few}
		for _, pair := range strings.Fields(r.from) {
			field, header, _ := strings.Cut(pair, "=")
			r.spec.Fields, r.spec.Raw = append(r.spec.Fields, field), append(r.spec.Raw, header)
			switch field {
			case "ip":
				r.ip = header
			case "port":
				r.port = header
			default:
				r.texts = append(r.texts, textHeader{event.FieldNamed(field).At, header})
			}
		}
		for _, name := range strings.Fields(r.sets) {
			if event.FieldNamed(name) == nil {
				r.spec.Raw = append(r.spec.Raw, name)
			} else {
				r.spec.Fields = append(r.spec.Fields, name)
			}
		}
	}
	return rows
}

// byName are the rows of each name.
var byName = func() map[string][]*report {
	rows := map[string][]*report{}
	for i := range reports {
		rows[reports[i].name] = append(rows[reports[i].name], &reports[i])
	}
	return rows
}()

// isNeeded are the headers in the table, isReported the events.
var isNeeded, isReported = func() (headers, events map[string]bool) {
	headers, events = map[string]bool{}, map[string]bool{}
	for i := range reports {
		events[reports[i].event] = true
		for _, name := range reports[i].spec.Raw {
			headers[name] = true
		}
	}
	return headers, events
}()

// warning is FreeSWITCH's number of the log level WARNING; more severe levels have smaller
// numbers. All events of the log alone are that severe.
const warning = 4

// wantsAll reports whether all raw fields are wanted.
func wantsAll(want map[string]bool) bool { return want == nil || want[event.Raw("")] }

// rawFields returns the raw fields that rules read.
func rawFields(want map[string]bool) (fields []string) {
	for name := range want {
		if field, isRaw := event.RawField(name); isRaw && isOwn(field) {
			fields = append(fields, field)
		}
	}
	return fields
}

// keptFields returns the raw fields to keep of each row: those that refine, the engine or rules read;
// nil: all.
func keptFields(want map[string]bool) map[*report][]string {
	if wantsAll(want) {
		return nil
	}
	kept, named := map[*report][]string{}, rawFields(want)
	for i := range reports {
		r := &reports[i]
		kept[r] = strings.Fields(r.reads + ofEngine)
		for _, field := range named {
			if !slices.Contains(kept[r], field) && (!r.few || slices.Contains(r.spec.Raw, field)) {
				kept[r] = append(kept[r], field)
			}
		}
	}
	return kept
}

// headersOf returns the headers to read of messages; none: all.
func headersOf(want map[string]bool) []string {
	if wantsAll(want) {
		return nil
	}
	return slices.Concat(slices.Sorted(maps.Keys(isNeeded)), strings.Fields(ofEngine), ofMessage, rawFields(want))
}

// isWanted reports whether one of the events is wanted; nil wants all.
func isWanted(want map[string]bool, names ...string) bool {
	return want == nil || slices.ContainsFunc(names, func(name string) bool { return want[name] })
}

// subscription asks for the reports that the wanted events need.
func (s *source) subscription(want map[string]bool) esl.Subscription {
	sub := esl.Subscription{LogLevel: -1, Headers: headersOf(want)}
	for i := range reports {
		r := &reports[i]
		switch {
		case !isWanted(want, r.event) || slices.Contains(sub.Subclasses, r.name) || slices.Contains(sub.Events, r.name):
		case strings.Contains(r.name, "::"):
			sub.Subclasses = append(sub.Subclasses, r.name)
		default:
			sub.Events = append(sub.Events, r.name)
		}
	}
	if s.wantsLog(want) {
		sub.LogLevel = warning
		sub.Events = append(sub.Events, "API") // which reports that the log level is set
	}
	if s.capture {
		sub.Events = append(sub.Events, profileStarted)
	}
	return sub
}

func (s *source) wantsLog(want map[string]bool) bool {
	return s.log && isWanted(want, s.inLog.Names()...)
}
