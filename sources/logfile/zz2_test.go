package logfile
import ("testing";"fmt")
func TestYY(t *testing.T) {
	for _, p := range furtherLines[0].lines { fmt.Printf("%q %v\n", p.lits, p.holes) }
	fmt.Println(scratchSource().Explain("2026-11-22 21:45:26.753493 90.73% [WARNING] sofia_reg.c:3210 Can't find user [4711@10.77.0.10] from 203.0.113.5\nYou must define a domain called '10.77.0.10' in your directory and add a user with the id=\"4711\" attribute\nand you must configure your device to use the proper domain in its authentication credentials.\n"))
	l := "You must define a domain called '10.77.0.10' in your directory and add a user with the id=\"4711\" attribute"
	fmt.Println(furtherLines[0].lines[0].match(l, &match{}), beginsRecord(l))
}
