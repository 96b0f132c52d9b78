package main

import "freeswitch-security/cmd/freeswitch-security/terminal"

var (
	printable   = terminal.Printable
	printObject = terminal.Object
	newTable    = terminal.NewTable
	cutTo       = terminal.Cut
	count       = terminal.Count
	about       = terminal.About
	ago         = terminal.Ago
	until       = terminal.Until
	width       = terminal.Width
)
