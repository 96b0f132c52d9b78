// Package webclient holds what all outgoing HTTP requests have in common: their
// headers in a rule file, what may be shown of their URLs, which texts are secrets, and
// how long a server asks to be left alone.
//
// Feeds and webhooks use it at the two ends of the path.
//
// Invariant: a text that went through [Secrets.Redact] holds no part of a URL but its
// scheme and host, no value of a header, and none of the other secrets of its block.
package webclient
