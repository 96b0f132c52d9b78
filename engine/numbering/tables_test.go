package numbering

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
)

// TestTables writes the tables with -update, and demands that they are of the module's version.
func TestTables(t *testing.T) {
	if *golden.Update {
		g := newGenerator(t)
		write(t, "numbers.bin", g.numbers())
		write(t, "countries.txt", g.countries())
		t.Logf("%d nodes, %d leaf entries", len(g.nodes), len(g.leaves))
		return
	}
	if !strings.HasPrefix(countries, header(t)) {
		t.Fatal("the tables are of another version: go test ./engine/numbering -run Tables -update")
	}
}

// header is the beginning of countries.txt, with the module's version in go.mod.
func header(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("../../go.mod")
	module := regexp.MustCompile(`github.com/nyaruka/phonenumbers v\S+`).Find(mod)
	if err != nil || module == nil {
		t.Fatal("no version in go.mod", err)
	}
	return "# Generated from " + string(module) + ": go test ./engine/numbering -run Tables -update\n" +
		"# country|calling code|trunk prefixes|international prefixes|emergency numbers|name; - is no prefix\n"
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A generator makes the tables from the metadata.
type generator struct {
	*testing.T
	byID    map[string]*phonenumbers.PhoneMetadata // regions; those of international networks by "001 " and code
	regions []string                               // sorted
	short   map[string]*phonenumbers.PhoneMetadata

	nodes  [][nodeWords]uint16
	leaves [][2]uint16
	shared map[string]child // by content
}

// A child is an entry of a node, and what is below it.
type child struct {
	word   uint16
	leaf   [15]label // labels by the number of further digits, if only that decides
	isLeaf bool
	below  label // see numbers
	mixed  bool  // below has several regions
}

func newGenerator(t *testing.T) *generator {
	g := &generator{T: t, byID: map[string]*phonenumbers.PhoneMetadata{}, short: map[string]*phonenumbers.PhoneMetadata{}, shared: map[string]child{}}
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all.GetMetadata() {
		id := m.GetId()
		if id == networks {
			id = fmt.Sprintf("%s %d", networks, m.GetCountryCode())
		} else {
			g.regions = append(g.regions, id)
		}
		g.byID[id] = m
	}
	g.regions = append(g.regions, networks, "") // a label with region 0 is none
	slices.Sort(g.regions)
	short, err := phonenumbers.ShortNumberMetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range short.GetMetadata() {
		g.short[m.GetId()] = m
	}
	return g
}

// countries returns the content of countries.txt.
func (g *generator) countries() []byte {
	var b bytes.Buffer
	b.WriteString(header(g.T))
	join := func(list []string) string {
		slices.Sort(list)
		list = slices.Compact(list)
		for i := range list {
			if list[i] == "" {
				list[i] = noPrefix
			}
		}
		return strings.Join(list, " ")
	}
	for _, id := range g.regions {
		if id == networks || id == "" {
			continue
		}
		m := g.byID[id]
		trunk := words(g, m.GetNationalPrefixForParsing(), true)
		if len(trunk) > MaxPrefixes/2 {
			trunk = nil
		}
		if trunk = append(trunk, m.GetNationalPrefix()); trunk[len(trunk)-1] != "" {
			trunk = slices.DeleteFunc(trunk, func(s string) bool { return s == "" })
		}
		international := words(g, m.GetInternationalPrefix(), false)
		if len(international) > MaxPrefixes {
			international = []string{m.GetPreferredInternationalPrefix()}
		}
		if m.GetCountryCode() == 1 { // ten digits are dialled without a prefix, too
			trunk = []string{"", "1"}
		}
		emergency := words(g, g.short[id].GetEmergency().GetNationalNumberPattern(), false)
		name := display.English.Regions().Name(language.MustParseRegion(id))
		fmt.Fprintf(&b, "%s|%d|%s|%s|%s|%s\n", id, m.GetCountryCode(), join(trunk), join(international), join(emergency), name)
	}
	return b.Bytes()
}

// words lists the texts that a pattern matches. Of a prefix, a group for a whole number counts as empty,
// and a text with nothing else does not count.
func words(g *generator, pattern string, prefix bool) []string {
	if pattern == "" {
		return nil
	}
	re, err := syntax.Parse(strings.ReplaceAll(pattern, "~", ""), syntax.Perl)
	if err != nil {
		g.Fatal(pattern, err)
	}
	const number = "n" // stands for a number
	var list func(re *syntax.Regexp) []string
	list = func(re *syntax.Regexp) []string {
		switch re.Op {
		case syntax.OpLiteral:
			return []string{string(re.Rune)}
		case syntax.OpCharClass:
			var out []string
			for i := 0; i < len(re.Rune); i += 2 {
				for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
					out = append(out, string(r))
				}
			}
			return out
		case syntax.OpCapture:
			if prefix && strings.Contains(re.Sub[0].String(), `{`) {
				return []string{number}
			}
			return list(re.Sub[0])
		case syntax.OpQuest:
			return append(list(re.Sub[0]), "")
		case syntax.OpAlternate:
			var out []string
			for _, sub := range re.Sub {
				out = append(out, list(sub)...)
			}
			return out
		case syntax.OpConcat:
			out := []string{""}
			for _, sub := range re.Sub {
				var next []string
				for _, tail := range list(sub) {
					for _, head := range out {
						next = append(next, head+tail)
					}
				}
				if out = next; len(out) > 10_000 {
					g.Fatalf("%q matches too much", pattern)
				}
			}
			return out
		case syntax.OpEndText, syntax.OpEmptyMatch:
			return []string{""}
		case syntax.OpRepeat:
			return []string{number}
		}
		g.Fatalf("%s in %q", re.Op, pattern)
		return nil
	}
	var out []string
	for _, word := range list(re) {
		if prefix {
			head, _, _ := strings.Cut(word, number)
			if head == "" {
				continue
			}
			word = head
		}
		out = append(out, word)
	}
	return out
}

// types are the patterns of a region in the order in which libphonenumber tries them.
var types = []struct {
	kind string
	desc func(*phonenumbers.PhoneMetadata) *phonenumbers.PhoneNumberDesc
}{
	{event.PremiumRate, (*phonenumbers.PhoneMetadata).GetPremiumRate},
	{event.TollFree, (*phonenumbers.PhoneMetadata).GetTollFree},
	{event.SharedCost, (*phonenumbers.PhoneMetadata).GetSharedCost},
	{event.VoIP, (*phonenumbers.PhoneMetadata).GetVoip},
	{event.PersonalNumber, (*phonenumbers.PhoneMetadata).GetPersonalNumber},
	{event.Pager, (*phonenumbers.PhoneMetadata).GetPager},
	{event.UAN, (*phonenumbers.PhoneMetadata).GetUan},
	{event.Voicemail, (*phonenumbers.PhoneMetadata).GetVoicemail},
	{event.FixedLine, (*phonenumbers.PhoneMetadata).GetFixedLine},
	{event.Mobile, (*phonenumbers.PhoneMetadata).GetMobile},
}

// A machine is the program of a pattern that has read some digits.
type machine struct {
	prog  *syntax.Prog
	at    []uint32 // sorted instructions; empty: it cannot match
	whole bool     // it has matched, and only the beginning counts
}

func (g *generator) machine(pattern string, prefix bool) machine {
	if pattern == "" {
		return machine{}
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		g.Fatal(pattern, err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		g.Fatal(pattern, err)
	}
	m := machine{prog: prog}
	m.reach(uint32(prog.Start), map[uint32]bool{})
	slices.Sort(m.at)
	m.whole = prefix && m.accepts()
	return m
}

// reach adds an instruction and all that follow without a digit.
func (m *machine) reach(pc uint32, seen map[uint32]bool) {
	if seen[pc] {
		return
	}
	seen[pc] = true
	switch i := &m.prog.Inst[pc]; i.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		m.reach(i.Out, seen)
		m.reach(i.Arg, seen)
	case syntax.InstCapture, syntax.InstNop:
		m.reach(i.Out, seen)
	case syntax.InstFail:
	default:
		m.at = append(m.at, pc)
	}
}

func (m *machine) accepts() bool {
	return m.whole || slices.ContainsFunc(m.at, func(pc uint32) bool { return m.prog.Inst[pc].Op == syntax.InstMatch })
}

func (m *machine) step(digit rune, prefix bool) machine {
	if m.whole {
		return *m
	}
	next, seen := machine{prog: m.prog}, map[uint32]bool{}
	for _, pc := range m.at {
		if i := &m.prog.Inst[pc]; i.Op != syntax.InstMatch && i.MatchRune(digit) {
			next.reach(i.Out, seen)
		}
	}
	slices.Sort(next.at)
	next.whole = prefix && next.accepts()
	return next
}

// A territory is a region with a calling code, and its patterns.
type territory struct {
	region  byte
	meta    *phonenumbers.PhoneMetadata
	leading machine // the first digits of its numbers
	general machine
	types   []machine
}

// numbers returns the content of numbers.bin.
func (g *generator) numbers() []byte {
	g.nodes = make([][nodeWords]uint16, 1) // node 0 is none
	g.leaves = nil
	var codes, shortest [codeCount]uint16
	var sorted []int
	for code := range phonenumbers.GetSupportedCallingCodes() {
		sorted = append(sorted, code)
	}
	slices.Sort(sorted)
	for _, code := range sorted {
		var all []territory
		for _, id := range phonenumbers.GetRegionCodesForCountryCode(code) {
			index, _ := slices.BinarySearch(g.regions, id)
			meta := g.byID[id]
			if id == networks {
				meta = g.byID[fmt.Sprintf("%s %d", networks, code)]
			}
			t := territory{region: byte(index), meta: meta, leading: g.machine(meta.GetLeadingDigits(), true), general: g.machine(meta.GetGeneralDesc().GetNationalNumberPattern(), false)}
			for _, typ := range types {
				t.types = append(t.types, g.machine(typ.desc(meta).GetNationalNumberPattern(), false))
			}
			all = append(all, t)
		}
		shortest[code] = uint16(slices.Min(all[0].meta.GetGeneralDesc().GetPossibleLength())) // of the main region
		root := g.explore(all, 0, map[string]child{})
		node := [nodeWords]uint16{backWord: uint16(root.below)}
		switch {
		case root.word == 0:
			g.Fatalf("calling code %d has no numbers", code)
		case root.isLeaf: // it is no child of a node
			var labels [15]label
			copy(labels[:], root.leaf[1:])
			for d := range 10 {
				node[d] = g.leaf(labels)
			}
		default:
			node = g.nodes[root.word]
		}
		if node[backWord] == 0 { // several regions: the main one
			node[backWord] = uint16(all[0].region) << 8
		}
		g.nodes = append(g.nodes, node)
		codes[code] = uint16(len(g.nodes) - 1)
	}
	if len(g.nodes) >= leafChild || len(g.leaves) >= leafChild {
		g.Fatalf("%d nodes and %d leaf entries have no place", len(g.nodes), len(g.leaves))
	}
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	put([]uint16{uint16(len(g.regions)), uint16(len(g.nodes)), uint16(len(g.leaves))})
	for _, id := range g.regions {
		fmt.Fprintf(&b, "%-4s", id)
	}
	put(codes)
	put(shortest)
	put(g.nodes)
	put(g.leaves)
	return b.Bytes()
}

// explore makes the tree below what the territories have read, which are n digits.
func (g *generator) explore(all []territory, n int, known map[string]child) child {
	key := fmt.Sprint(n)
	dead := true
	for _, t := range all {
		key += fmt.Sprint("/", t.leading.whole, t.leading.at, t.general.at)
		for _, m := range t.types {
			key += fmt.Sprint(m.at)
			dead = dead && len(m.at) == 0
		}
	}
	if dead {
		return child{}
	}
	if c, ok := known[key]; ok {
		return c
	}
	var below [10]child
	for d := range below {
		next := make([]territory, len(all))
		for i, t := range all {
			next[i] = territory{region: t.region, meta: t.meta, leading: t.leading.step('0'+rune(d), true), general: t.general.step('0'+rune(d), false)}
			for _, m := range t.types {
				next[i].types = append(next[i].types, m.step('0'+rune(d), false))
			}
		}
		below[d] = g.explore(next, n+1, known)
	}
	c := g.intern(labelOf(all, n), below)
	known[key] = c
	return c
}

// labelOf returns the label of a number of n digits that the territories have read, as libphonenumber does.
func labelOf(all []territory, n int) label {
	for _, t := range all {
		kind := typeOf(t, n)
		if len(all) > 1 && t.meta.GetLeadingDigits() != "" {
			if !t.leading.whole {
				continue
			}
		} else if kind == "" {
			continue
		}
		if kind == "" {
			return 0
		}
		return label(t.region)<<8 | label(slices.Index(event.DestinationTypes, kind)+1)
	}
	return 0
}

func typeOf(t territory, n int) string {
	matches := func(m machine, desc *phonenumbers.PhoneNumberDesc) bool {
		return m.accepts() && (len(desc.GetPossibleLength()) == 0 || slices.Contains(desc.GetPossibleLength(), int32(n)))
	}
	if !matches(t.general, t.meta.GetGeneralDesc()) {
		return ""
	}
	for i, typ := range types {
		if !matches(t.types[i], typ.desc(t.meta)) {
			continue
		}
		mobile := t.meta.GetSameMobileAndFixedLinePattern() || matches(t.types[len(types)-1], t.meta.GetMobile())
		if typ.kind == event.FixedLine && mobile {
			return event.FixedLineOrMobile
		}
		return typ.kind
	}
	return ""
}

// intern returns the child for a node, which is a leaf if all its children are the same one.
func (g *generator) intern(own label, below [10]child) child {
	c := child{isLeaf: true}
	for _, b := range below {
		c.isLeaf = c.isLeaf && (b.isLeaf || b.word == 0) && b.leaf == below[0].leaf
		c.join(b.below, b.mixed)
	}
	c.join(own, false)
	if c.isLeaf && below[0].leaf[14] != 0 {
		g.Fatal("a leaf has more than 14 further digits")
	}
	if c.isLeaf {
		copy(c.leaf[1:], below[0].leaf[:])
		if c.leaf[0] = own; c.leaf == [15]label{} {
			return child{}
		}
		c.word = g.leaf(c.leaf)
		return c
	}
	node := [nodeWords]uint16{labelWord: uint16(own)}
	if !c.mixed {
		node[backWord] = uint16(c.below)
	}
	for d, b := range below {
		node[d] = b.word
	}
	key := fmt.Sprint(node)
	if known, ok := g.shared[key]; ok {
		return known
	}
	g.nodes = append(g.nodes, node)
	c.word = uint16(len(g.nodes) - 1)
	g.shared[key] = c
	return c
}

// join adds the numbers below another child.
func (c *child) join(l label, mixed bool) {
	switch {
	case l == 0 && !mixed:
	case mixed || c.mixed || c.below != 0 && c.below>>8 != l>>8:
		c.below, c.mixed = 0, true
	case c.below == 0:
		c.below = l
	case c.below != l:
		c.below &^= 0xff
	}
}

// leaf returns the word for a leaf.
func (g *generator) leaf(labels [15]label) uint16 {
	key := fmt.Sprint(labels)
	if known, ok := g.shared[key]; ok {
		return known.word
	}
	var entries [][2]uint16
	for n, l := range labels {
		i := slices.IndexFunc(entries, func(e [2]uint16) bool { return e[1] == uint16(l) })
		switch {
		case l == 0:
			continue
		case i < 0:
			entries = append(entries, [2]uint16{0, uint16(l)})
			i = len(entries) - 1
		}
		entries[i][0] |= 1 << n
	}
	for i := range len(entries) - 1 {
		entries[i][0] |= moreLeaves
	}
	g.leaves = append(g.leaves, entries...)
	word := uint16(leafChild | (len(g.leaves) - len(entries)))
	g.shared[key] = child{word: word}
	return word
}
