// Command freeswitch-security guards a FreeSWITCH server: it watches what the
// switch reports, decides by rules who attacks it, and blocks him.
//
// It stands at the outside of everything: it finds the rule files, opens what is
// to be read, and shows people and programs what came of it. One file holds one
// verb; plugins.go lists what sources and actions there are.
//
// The invariant: standard output bears the answer and nothing else, standard
// error everything else, and the exit status says which of three things
// happened: 0, it was done and the answer is yes; 1, the answer is no (mistakes
// in rules, a test that fails, files that differ); 2, it could not be done. Only
// `status --nagios` answers as Nagios plugins do.
package main
