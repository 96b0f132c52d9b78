// Package email sends alerts, and other changes, by mail: action "email", one mail for all that happens within
// an interval.
//
// It stands at the end of the path. enforce's Runner passes it changes (Apply), which it notes; a goroutine of its own
// (Serve) composes and sends mails. So a slow or dead server delays nothing else. The verb `report --mail` sends a mail
// of its own (Send), in its own process.
//
// Invariant: what waits is bounded whatever an attacker does: the first changes in full, of the others how many there were by kind and
// rule. A change that Apply took is in a mail that the server accepted, or is counted as dropped, and the next mail says how many were.
// Changes are dropped if the server refuses their mail, if it cannot be delivered within give_up, and if the action ends before.
// A mail keeps its Message-ID on a retry.
//
// engine/RULES.md has the attributes.
//
// Encryption. "starttls" is mandatory: a server that does not offer it gets no mail and no password. TLS is 1.2 or later.
//
// Digests. The first change is sent after two seconds, with all that came meanwhile. What follows is collected for digest, and so on. A
// mail has at most 50 changes in full, and the number of the others by kind and rule.
//
// Attempts. A network error, a refused login and a 4xx answer are retried after a random part of a time that doubles from 5 s to
// 5 min. A 5xx answer to the mail itself drops it: what an attacker wrote may look like spam, and must not stop the mails that follow.
//
// Recipients. A mail goes to all recipients that the server accepts. One that it refuses does not get that mail, and is a problem
// in the status until a mail reaches all. If the answer is 4xx, such as that of a greylist, the mail is sent to that recipient again,
// until give_up or the end: at most the newest 20 mails, and none delays a new one. If the server refuses all, the mail is dropped, or retried if one of the answers is 4xx.
//
// The end. When the guard ends, and when a reload changes the block, what waits is sent within three seconds. A mail that the server
// has not taken by then, and each mail if the last attempt failed, is dropped.
//
// Texts. Subject and body may hold what a caller wrote. It is bounded, and characters that are not printable are escaped. With
// history { numbers = "masked" } accounts and numbers are masked. The texts of evidence, and the part of a reason that names accounts, are
// left out.
package email
