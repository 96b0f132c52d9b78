package geoip

import (
	"cmp"
	"io/fs"
	"net/netip"
	"slices"
	"sync"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// Databases are the files of a geoip block. They are safe for concurrent use.
type Databases struct {
	files      []*file
	country    *file      // one of files; nil: none is configured
	asn        *file      // likewise; it may be the same
	refreshing sync.Mutex // held by Refresh
}

// Open reads the databases at two paths; "": there is none. What could not be read is among the [File]s.
func Open(fsys fs.FS, country, asn string) *Databases {
	d := &Databases{}
	if country != "" {
		d.country = d.open(fsys, country)
	}
	if asn != "" {
		d.asn = d.open(fsys, asn)
	}
	for _, f := range d.files {
		f.read()
	}
	return d
}

func (d *Databases) open(fsys fs.FS, path string) *file {
	for _, f := range d.files {
		if f.path == path {
			return f
		}
	}
	f := &file{fsys: fsys, path: path}
	d.files = append(d.files, f)
	return f
}

// Adopt takes over what was read before of the same files, where they could not be read now. Both may be nil.
func (d *Databases) Adopt(before *Databases) {
	if d == nil || before == nil {
		return
	}
	for _, f := range d.files {
		for _, old := range before.files {
			if f.path == old.path {
				f.current.CompareAndSwap(nil, old.current.Load())
			}
		}
	}
}

// Has reports whether an attribute of the block names a database. d may be nil.
func (d *Databases) Has(attribute string) bool {
	return d != nil && (attribute == "country" && d.country != nil || attribute == "asn" && d.asn != nil)
}

// Of returns where an address is; the zero Place if no database says so.
func (d *Databases) Of(addr netip.Addr) (o event.Place) {
	if !addr.IsValid() {
		return o
	}
	if d.country != nil {
		o = d.country.lookup(addr)
	}
	if d.asn == d.country {
		return o
	}
	o.ASN, o.ASName = "", ""
	if d.asn != nil {
		of := d.asn.lookup(addr)
		o.ASN, o.ASName = of.ASN, of.ASName
	}
	return o
}

// Refresh reads files again that have changed. A file that cannot be read leaves what was read before in
// use. If another call is at it, Refresh returns at once.
func (d *Databases) Refresh() {
	if !d.refreshing.TryLock() {
		return
	}
	defer d.refreshing.Unlock()
	for _, f := range d.files {
		if f.changed() {
			f.read()
		}
	}
}

// A File is the state of one file.
type File struct {
	status.Database
	For []string // the attributes that name it: "country", "asn"
}

// Files returns the states of the files.
func (d *Databases) Files() []File {
	var all []File
	for _, f := range d.files {
		one := f.state()
		if f == d.country {
			one.For = append(one.For, "country")
		}
		if f == d.asn {
			one.For = append(one.For, "asn")
		}
		if db := f.current.Load(); one.Error == "" && db != nil {
			one.Error = db.lacks(one.For)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return all
}
