package plugin

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
)

// Kind makes such actions. It blocks nobody itself, so it is asked about the bans of
// rules also while rules may not block.
var Kind = plugin.ActionKind{Name: "list", New: newList}

// list is one action block. What it holds in a file is a state, and so it is a
// [plugin.Level]: it is told every change, and asked now and then whether the file
// is still what it should be.
type list struct {
	path  string
	bans  map[ban.Target]bool
	wrote []byte
}

var _ plugin.Level = (*list)(nil)

// newList reads the block and touches nothing: the file is written by Resync.
func newList(b *settings.Block, _ plugin.ActionEnv) plugin.Action {
	l := &list{bans: map[ban.Target]bool{}}
	b.Require("path", "Say where the file is: path = \"/var/lib/mine/banned.txt\".")
	if b.String("path", &l.path) && !filepath.IsAbs(l.path) {
		b.Error("path", "Relative path", "Write the whole path, such as \"/var/lib/mine/banned.txt\".")
	}
	return l
}

// Apply carries out one batch. Doing it twice ends as doing it once.
func (l *list) Apply(_ context.Context, batch ban.Batch) error {
	for _, c := range batch.Changes {
		if c.InForce() && !c.Ban.Over(batch.Now) {
			l.bans[c.Ban.Target] = true
		} else {
			delete(l.bans, c.Ban.Target)
		}
	}
	return l.write()
}

// Resync makes the file agree with the bans, and says what was wrong with it.
func (l *list) Resync(_ context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	var drift plugin.Drift
	if found, err := os.ReadFile(l.path); err != nil || !bytes.Equal(found, l.wrote) {
		drift.Notes = append(drift.Notes, l.path+" was not as it was left")
	}
	l.bans = map[ban.Target]bool{}
	for b := range want {
		l.bans[b.Target] = true
	}
	return drift, l.write()
}

// write replaces the file.
func (l *list) write() error {
	var text bytes.Buffer
	for _, target := range slices.SortedFunc(maps.Keys(l.bans), ban.Target.Compare) {
		fmt.Fprintln(&text, target.String())
	}
	next := l.path + ".new"
	if err := os.WriteFile(next, text.Bytes(), 0o644); err != nil {
		return err
	}
	l.wrote = text.Bytes()
	return os.Rename(next, l.path)
}
