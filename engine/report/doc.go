// Package report shows a history as one HTML file: what happened, who attacked, what was spared and why.
//
// It stands behind the path: the verbs `report` and `replay --report` write it, from the same types that the API
// answers with. The file needs no other one: style and pictures are in it, and no script.
//
// Invariant: all that an attacker wrote is text, and the file has a bounded size, below 2 MB.
package report
