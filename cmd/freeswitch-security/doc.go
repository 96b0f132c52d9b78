// Command freeswitch-security guards a FreeSWITCH server: it reads what the switch reports, decides by rules who attacks it, and bans the attackers.
//
// It is the outermost part: it finds the rule files, opens inputs and prints answers. Each verb is
// one file and one line in verbs.go; plugins.go lists the sources and actions.
//
// Invariant: standard output has the answer and nothing else. The exit status is 0: done, and the
// answer is yes; 1: the answer is no (mistakes in rules, a failed test, a difference); 2: it could
// not be done. `status --nagios` has the exit statuses of Nagios plugins instead.
package main
