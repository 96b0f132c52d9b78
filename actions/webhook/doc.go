// Package webhook tells other systems of bans and alerts: action "webhook", one
// HTTP request for each group of notices.
//
// It stands at the end of the path. enforce's Runner hands it changes (Apply),
// which it queues; a goroutine of its own (Serve) groups and sends them. So an
// endpoint that is slow or dead holds up nobody.
//
// The invariant: a notice that Apply has taken is delivered at least once, or is
// counted, and the next message says how many are lost. With a directory (Keep)
// that holds across kill -9 too. Lost is what the queue has no room for (the
// oldest go), what is older than give_up, and what the endpoint refuses. On a
// retry, and after a restart, a message has the same Idempotency-Key and body, so
// a receiver can leave out what it has seen. What waits when the block is taken out of
// the rule files goes on when it comes back, and is forgotten after 30 days.
//
// What a block may say, with the defaults:
//
//	action "webhook" "noc" {
//	  url           = env("NOC_WEBHOOK") # required
//	  method        = "POST"
//	  headers       = {}                 # { Authorization = "Bearer ${env("TOKEN")}" }
//	  template      = ""                 # file("slack.tmpl"), text/template over [Message]; none: JSON
//	  content_type  = "application/json" # with a template, too, which must then write JSON
//	  vars          = {}                 # for the template: {{.Vars.key}}; not for the log
//	  secret        = ""                 # signs, see below
//	  on            = ["ban", "alert", "spare"] # also "extend", "expire", "unban"
//	  group_wait    = "1s"               # how long a notice waits for others
//	  group_max     = 100                # notices in one message, of 256 KiB at the most; a full one does not wait
//	  timeout       = "10s"              # of one attempt
//	  give_up       = "24h"              # the age at which a notice is not worth telling any more
//	  queue         = 10000              # notices that may wait, and 64 MiB
//	  ca            = ""                 # file("ca.pem"): trust this authority alone
//	  cert          = ""                 # file("cert.pem") and
//	  key           = ""                 # file("key.pem"): who we are to the endpoint
//	  allow_private = true               # false: connect to public addresses only
//	}
//
// Attempts. A network fault, a timeout, 408, 425, 429, 5xx and a redirect are tried
// again after a random part of a time that doubles from 1 s to 5 min, and after what
// Retry-After asks for, up to an hour. Any other status refuses the message for
// good: it is dropped. A message on which the endpoint fails three times steps back
// behind those that were not tried yet, and is dropped if it takes those: a caller who
// finds the text that breaks a receiver must not silence everybody else's alarms.
// Messages can then overtake one another; Notice.Seq puts them in order.
//
// Signature. X-Signature-256 is "sha256=" and the HMAC-SHA256, in hex, of
// X-Signature-Timestamp (Unix seconds of this attempt), a dot, and the body. A
// receiver compares in constant time and refuses a timestamp that is more than some
// minutes off.
//
// Where it connects to. The URL is the operator's own, and nothing that a caller
// writes gets into it; so private addresses are allowed, since that is where many
// a chat server lives. allow_private = false refuses every address that is not
// public, as the name resolves at that moment, and uses no proxy, which would
// resolve it again. Else HTTPS_PROXY, HTTP_PROXY and NO_PROXY count. Redirects are
// never followed: they would hand headers and text to somebody else. TLS is 1.2 or
// later. Of the URL only scheme and host are ever shown, and what an endpoint answers is
// shown without the values of url, headers, vars and secret.
//
// Templates see a [Message]; a [Notice] has the methods Whom, Term and Latest. Beside what text/template brings they may call
//
//	json X         X as JSON: a text with its quotes
//	plain S        one line without control characters
//	slack S        as plain, escaped for Slack's mrkdwn; nobody is mentioned
//	markdown S     as plain, escaped for Markdown; nobody is mentioned
//	truncate N S   at most N characters; before slack or markdown, not after
//	date LAYOUT T  a time in UTC, in a layout of Go's: "2006-01-02 15:04"
//	first N L      the first N notices
//	beyond N L     how many there are beyond these
//	upper S
//
// A template is tried on hostile samples when it is loaded. What fails later all the
// same goes out in the default form. There are samples for Slack, Teams, Discord,
// PagerDuty and plain text in examples/webhook.
package webhook
