package numbering

import (
	_ "embed"
	"math/bits"

	"freeswitch-security/engine/event"
)

// numbers is a decision tree over the digits of E.164 numbers, in which equal subtrees are shared. It
// is a sequence of 16-bit words, little-endian:
//
//	3 words              number of regions, of nodes, of leaf entries
//	2 words each         regions: "DE  ", "001 "
//	1000 words           the child for each country calling code, see below
//	1000 words           the length of the shortest number behind each in its main region
//	12 words each        nodes: the children for the next digits 0 to 9, a label, a fallback
//	2 words each         leaf entries: numbers of digits, a label
//
// A child is 0 (no number begins so), a node, or with the highest bit a leaf: its first entry. A leaf is
// reached where only the number of further digits decides: bit n of an entry stands for n more
// digits, its highest bit says that another entry follows. A label, unless 0, makes what was read
// so far a number: its region in the high byte, its type plus one in the low one. A fallback is of
// the numbers below the node: their region, and their type if all have it.
//
//go:embed numbers.bin
var numbers string

// Offsets and sizes in words, and bits.
const (
	headWords  = 3
	codeCount  = 1000
	nodeWords  = 12
	labelWord  = 10
	backWord   = 11
	leafChild  = 1 << 15
	moreLeaves = 1 << 15
)

func word(i int) uint16 { return uint16(numbers[2*i]) | uint16(numbers[2*i+1])<<8 }

// A label is a region and a type of numbers.
type label uint16

func (l label) region() string {
	at := 2*headWords + 4*int(l>>8)
	code := numbers[at : at+3]
	if code[2] == ' ' {
		return code[:2]
	}
	return code
}

// kind returns the type; "" where the label has none.
func (l label) kind() string {
	if l&0xff == 0 {
		return ""
	}
	return event.DestinationTypes[l&0xff-1]
}

// A match is what the table knows of a number.
type match struct {
	label
	code  int // length of the country calling code
	valid int // length of the longest valid number at the beginning; 0: there is none
	least int // length of the shortest number with this country calling code
}

// lookup finds the longest valid number at the beginning of digits. Without one, the label is that
// of all numbers that begin as far as the table could be followed. It reports false if the digits begin
// with no country calling code.
func lookup(digits string) (m match, ok bool) {
	if digits == "" || digits[0] == '0' {
		return m, false
	}
	regions, nodes := int(word(0)), int(word(1))
	codesAt := headWords + 2*regions
	nodesAt := codesAt + 2*codeCount
	leavesAt := nodesAt + nodes*nodeWords
	child, code := uint16(0), 0
	for child == 0 {
		if m.code == 3 || m.code == len(digits) {
			return m, false
		}
		code = 10*code + int(digits[m.code]-'0')
		m.code++
		child = word(codesAt + code)
	}
	m.least = m.code + int(word(codesAt+codeCount+code))
	var best, fallback label
	for at := m.code; child != 0; at++ {
		if child&leafChild != 0 {
			return m.leaf(leavesAt+2*int(child&^leafChild), at, digits, best), true
		}
		node := nodesAt + int(child)*nodeWords
		if l := label(word(node + labelWord)); l != 0 {
			best, m.valid = l, at
		}
		if l := label(word(node + backWord)); l != 0 {
			fallback = l
		}
		if at == len(digits) {
			break
		}
		child = word(node + int(digits[at]-'0'))
	}
	if m.label = best; best == 0 {
		m.label = fallback
	}
	return m, true
}

// leaf ends a lookup at a leaf, behind at digits. best is the label of a shorter number.
func (m match) leaf(entry, at int, digits string, best label) match {
	m.label = best
	rest := uint(len(digits) - at)
	fallback := label(word(entry + 1))
	if word(entry)&moreLeaves != 0 {
		fallback &^= 0xff
	}
	for more := true; more; entry += 2 {
		lengths := word(entry)
		more = lengths&moreLeaves != 0
		lengths &^= moreLeaves
		if rest < 15 {
			lengths &= 1<<(rest+1) - 1
		}
		if n := at + bits.Len16(lengths) - 1; lengths != 0 && n > m.valid {
			m.label, m.valid = label(word(entry+1)), n
		}
	}
	if m.valid == 0 {
		m.label = fallback
	}
	return m
}
