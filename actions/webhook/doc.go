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
// engine/RULES.md has the attributes, examples/webhook the functions of templates.
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
// Templates get a [Message], whose notifications are [ban.Change] values. A template is tried
// on hostile samples when it is loaded. If it fails later, the message is sent in the
// default form.
package webhook
