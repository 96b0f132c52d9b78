package logfile
import ("testing";"fmt";"os")
func TestXX(t *testing.T) {
	b,_ := os.ReadFile("/tmp/d/fs1m.log")
	p := catalogue()
	pl := newPlan(p, uses(p, nil), b)
	fmt.Println(pl.everyLine)
	var c [256]int
	for _, x := range b[:sampleLength] { c[x]++ }
	for _, n := range pl.needles { fmt.Printf("%q %d %q\n", n.char, c[n.char], n.lits) }
	pl = newPlan(p, uses(p, map[string]bool{"auth_failure":true,"acl_reject":true}), b)
	for _, n := range pl.needles { fmt.Printf("%q %d %q\n", n.char, c[n.char], n.lits) }
	for x, n := range c { if n > 0 && x < 128 { fmt.Printf("%q:%d ", rune(x), n)} }
}
