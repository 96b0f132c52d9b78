// Package webhook sends changes of bans and alerts to other systems: action "webhook",
// one HTTP request for each group of notifications.
//
// It stands at the end of the path. enforce's Runner passes it changes (Apply), which it
// queues; a goroutine of its own (Serve) groups and sends them. So a slow or dead
// endpoint delays nothing else.
//
// Invariant: a notification that Apply has queued is delivered at least once, or is
// counted, and the next message says how many are lost. With a state directory this
// holds across kill -9, too. Notifications are lost if the queue is full (the oldest
// go), if they are older than give_up, or if the endpoint refuses them. A message keeps
// its Idempotency-Key and body on a retry and after a restart, so that a receiver can
// skip what it has. The queue of a block that was removed from the rule files is kept
// for 30 days.
//
// The attributes of a block, with their defaults:
//
//	action "webhook" "noc" {
//	  url           = env("NOC_WEBHOOK") # required
//	  method        = "POST"
//	  headers       = {}                 # { Authorization = "Bearer ${env("TOKEN")}" }
//	  template      = ""                 # file("slack.tmpl"), text/template over [Message]; none: JSON
//	  content_type  = "application/json" # with a template, too, which must then write JSON
//	  vars          = {}                 # for the template: {{.Vars.key}}; redacted in the log
//	  secret        = ""                 # signs each request, see below
//	  on            = ["ban", "alert", "spare"] # also "extend", "expire", "unban"
//	  group_wait    = "1s"               # how long a notification waits for others
//	  group_max     = 100                # notifications in one message of at most 256 KiB; a full one does not wait
//	  timeout       = "10s"              # of one attempt
//	  give_up       = "24h"              # the age at which a notification is dropped
//	  queue         = 10000              # notifications, and 64 MiB
//	  ca            = ""                 # file("ca.pem"): trust only this authority
//	  cert          = ""                 # file("cert.pem") and
//	  key           = ""                 # file("key.pem"): the client's certificate
//	  allow_private = true               # false: connect to public addresses only
//	}
//
// Attempts. A network error, a timeout, 408, 425, 429, 5xx and a redirect are retried
// after a random part of a time that doubles from 1 s to 5 min, or after what
// Retry-After asks for, up to an hour. Any other status refuses the message, which is
// then dropped. A message on which the endpoint fails three times is retried after those
// that are new, and is dropped if the endpoint takes those: an attacker who finds a text
// that breaks a receiver must not stop all alerts. So messages can overtake one another;
// the seq of the notifications orders them.
//
// Signature. X-Signature-256 is "sha256=" and the HMAC-SHA256, in hex, of
// X-Signature-Timestamp (Unix seconds of this attempt), a dot, and the body. A receiver
// should compare in constant time and refuse a timestamp that is some minutes off.
//
// Connections. The operator writes the URL, and nothing that a caller writes gets into
// it; so private addresses are allowed, where many chat servers are.
// allow_private = false refuses each address that is not public after resolution, and
// uses no proxy, which would resolve the name again. Otherwise HTTPS_PROXY, HTTP_PROXY
// and NO_PROXY apply. Redirects are not followed: they would send headers and text to
// another host. TLS is 1.2 or later. Of the URL only scheme and host are shown, and
// answers are shown without the values of url, headers, vars and secret.
//
// Templates get a [Message], whose notifications are [ban.Change] values. Beside the
// functions of text/template they may call
//
//	subject C      target of a change, and what the rule counted by: 203.0.113.7 (1000@pbx)
//	term C         how long its ban lasts: 10m, permanent
//	latest C       the latest event of its evidence
//	json X         X as JSON: a text with its quotes
//	plain S        one line without control characters
//	slack S        as plain, escaped for Slack's mrkdwn, without mentions
//	markdown S     as plain, escaped for Markdown, without mentions
//	count N S      "1 notification", "2 notifications" of S
//	truncate N S   at most N characters; call it before slack or markdown
//	date LAYOUT T  a time in UTC, in a layout of Go's: "2006-01-02 15:04"
//	first N L      the first N notifications
//	beyond N L     how many there are beyond these
//	upper S
//
// A template is tried on hostile samples when it is loaded. If it fails later, the
// message is sent in the default form. examples/webhook has templates for Slack, Teams,
// Discord, PagerDuty and plain text.
package webhook
