package dbfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
)

// The parts of a bbolt file, of format 2: every number is in the order of the machine.
const (
	pageHeader   = 16 // number uint64, kind uint16, elements uint16, overflow uint32
	element      = 16 // of a leaf: kind, position, key, value, all uint32; of a branch: position, key uint32, page uint64
	bucketHeader = 16 // root page uint64, sequence uint64
	metaSize     = 64 // the last 8 are the checksum of the others
	metaMagic    = 0xED0CDAED
	metaVersion  = 2

	branchPage, leafPage, freePage = 0x01, 0x02, 0x10
	bucketElement                  = 0x01
)

var order = binary.NativeEndian

// A verifier reads a database once, before it is used. bbolt finds a wrong page only when it
// reads it, follows a cycle without end, takes a page with fewer elements for a whole one,
// and the state before the last transaction for the present one.
//
// Invariant: every page of a file that passes is in use once or free, its elements fill it
// without a gap and are in order. The values are passed to the caller, who may check them.
type verifier struct {
	file  io.ReaderAt
	size  int      // of a page
	known []bool   // by page: in use or free
	pages [][]byte // buffers, by depth
	each  func(bucket, key, value []byte)
	name  []byte // of the bucket whose elements are read; nil: the root
}

// verify returns what is wrong with a database; nil if it is whole. It passes the values to each, see [Open].
func verify(file io.ReaderAt, pageSize int, length int64, each func(bucket, key, value []byte)) error {
	v := &verifier{file: file, size: pageSize, each: each}
	var metas [2][]byte // of the last two transactions: the number of one is odd
	for i := range metas {
		m := make([]byte, metaSize)
		if _, err := file.ReadAt(m, int64(i*pageSize+pageHeader)); err != nil {
			return fmt.Errorf("page %d: %w", i, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		if order.Uint32(m) != metaMagic || order.Uint32(m[4:]) != metaVersion || sum.Sum64() != order.Uint64(m[metaSize-8:]) || transaction(m)%2 != uint64(i) {
			return fmt.Errorf("page %d: wrong checksum", i)
		}
		metas[i] = m
	}
	meta := slices.MaxFunc(metas[:], func(a, b []byte) int { return cmp.Compare(transaction(a), transaction(b)) })
	if gap := int64(transaction(metas[0]) - transaction(metas[1])); gap != 1 && gap != -1 {
		return errors.New("the last transaction is missing")
	}
	root, free, count := order.Uint64(meta[16:]), order.Uint64(meta[32:]), order.Uint64(meta[40:])
	if count > uint64(length)/uint64(pageSize) {
		return fmt.Errorf("%d bytes in place of %d", length, count*uint64(pageSize))
	}
	v.known = make([]bool, max(count, 2))
	v.known[0], v.known[1] = true, true // the metas
	if err := cmp.Or(v.tree(root, 0, nil, nil), v.freeList(free)); err != nil {
		return err
	}
	if i := slices.Index(v.known, false); i >= 0 {
		return fmt.Errorf("page %d: neither used nor free", i)
	}
	return nil
}

// transaction returns the number of the transaction that wrote a meta.
func transaction(meta []byte) uint64 { return order.Uint64(meta[48:]) }

// read returns a page of one of the kinds in which it may be, with what overflows from it. The
// bytes are valid until the next page of the depth is read.
func (v *verifier) read(number uint64, kinds uint16, depth int) ([]byte, error) {
	var head [pageHeader]byte
	if number >= uint64(len(v.known)) {
		return nil, fmt.Errorf("page %d: beyond the end", number)
	}
	if _, err := v.file.ReadAt(head[:], int64(number)*int64(v.size)); err != nil {
		return nil, fmt.Errorf("page %d: %w", number, err)
	}
	kind, more := order.Uint16(head[8:]), uint64(order.Uint32(head[12:]))
	if order.Uint64(head[:]) != number || kind&kinds == 0 || kind&(kind-1) != 0 || more >= uint64(len(v.known))-number {
		return nil, fmt.Errorf("page %d: wrong header", number)
	}
	for n := number; n <= number+more; n++ {
		if err := v.count(n); err != nil {
			return nil, err
		}
	}
	if depth == len(v.pages) {
		v.pages = append(v.pages, nil)
	}
	page := slices.Grow(v.pages[depth][:0], int(more+1)*v.size)[:int(more+1)*v.size]
	v.pages[depth] = page
	if _, err := v.file.ReadAt(page, int64(number)*int64(v.size)); err != nil {
		return nil, fmt.Errorf("page %d: %w", number, err)
	}
	return page, nil
}

// count notes that a page is in use, or free.
func (v *verifier) count(number uint64) error {
	if number >= uint64(len(v.known)) || v.known[number] {
		return fmt.Errorf("page %d: used twice, or beyond the end", number)
	}
	v.known[number] = true
	return nil
}

// tree checks a page of a bucket and all below it. Its keys are at or after from, and
// before to; nil is no bound.
func (v *verifier) tree(number uint64, depth int, from, to []byte) error {
	page, err := v.read(number, branchPage|leafPage, depth)
	if err != nil {
		return err
	}
	if err := v.elements(page, depth, from, to); err != nil {
		return fmt.Errorf("page %d: %w", number, err)
	}
	return nil
}

// elements checks the elements of a page, and the pages below a branch.
func (v *verifier) elements(page []byte, depth int, from, to []byte) error {
	leaf, count := order.Uint16(page[8:]) == leafPage, int(order.Uint16(page[10:]))
	next := pageHeader + count*element // where the key of the next element is
	if next > len(page) {
		return errors.New("more elements than it can hold")
	}
	var last []byte // the key before
	var below uint64
	for i := range count {
		at := pageHeader + i*element
		e := page[at:][:element]
		kind, fields, value := uint32(0), e, uint32(0)
		if leaf {
			kind, fields, value = order.Uint32(e), e[4:], order.Uint32(e[12:])
		}
		position, key := order.Uint32(fields), order.Uint32(fields[4:])
		if uint64(at)+uint64(position) != uint64(next) || key == 0 || uint64(key)+uint64(value) > uint64(len(page)-next) {
			return fmt.Errorf("element %d: wrong place", i)
		}
		name, content := page[next:][:key], page[next+int(key):][:value]
		next += int(key) + int(value)
		if bytes.Compare(name, from) < 0 || to != nil && bytes.Compare(name, to) >= 0 || i > 0 && bytes.Compare(name, last) <= 0 {
			return fmt.Errorf("element %d: wrong order", i)
		}
		var err error
		switch {
		case !leaf && i > 0:
			err = v.tree(below, depth+1, last, name)
		case kind == bucketElement:
			around := v.name
			v.name = name
			err = v.bucket(content, depth+1)
			v.name = around
		case kind != 0:
			err = fmt.Errorf("element %d: wrong kind", i)
		case leaf && v.name != nil:
			v.each(v.name, name, content)
		}
		if err != nil {
			return err
		}
		last, below = name, order.Uint64(e[8:])
	}
	if leaf || count == 0 {
		return nil
	}
	return v.tree(below, depth+1, last, to)
}

// bucket checks a bucket: a small one stands in its value, another in pages of its own.
func (v *verifier) bucket(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return errors.New("a bucket too short")
	}
	if root := order.Uint64(value); root != 0 {
		return v.tree(root, depth, nil, nil)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafPage {
		return errors.New("a bucket without a page")
	}
	return v.elements(inline, depth, nil, nil)
}

// freeList counts the free pages.
func (v *verifier) freeList(number uint64) error {
	page, err := v.read(number, freePage, 0)
	if err != nil {
		return err
	}
	ids, count := page[pageHeader:], uint64(order.Uint16(page[10:]))
	if count == 0xffff {
		ids, count = ids[8:], order.Uint64(ids)
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("page %d: more free pages than it can hold", number)
	}
	for i := range count {
		if err := v.count(order.Uint64(ids[8*i:])); err != nil {
			return err
		}
	}
	return nil
}
