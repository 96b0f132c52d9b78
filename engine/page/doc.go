// Package page is what a person sees of the guard in a browser: whether it sees, decides and bans, who is
// banned and why, what is close to a ban, and changes as they happen.
//
// It stands beside the path, behind the admin listener, which admits the requests, and gives and changes what
// the page shows ([Guard]). HTML is made here by html/template, and the tables need no JavaScript. The module
// page.js adds the live feed, updates and dialogs; it takes all HTML from here.
//
// Invariant: what an attacker wrote is text. No answer has an inline style or script, and [Policy] allows none.
// Open pages share what is rendered for a second, so that their number does not change what the guard does.
package page
