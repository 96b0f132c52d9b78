// Package webclient is the HTTP client of a block in a rule file. A [Client] sends the
// headers of the block and redacts its errors. The package also reads the attribute
// headers, and how long a server asks a client to wait.
//
// Feeds and webhooks use it at the two ends of the path.
//
// Invariant: a text that went through [Secrets.Redact] holds no part of a URL but its
// scheme and host, no value of a header, and none of the other secrets of its block.
package webclient
