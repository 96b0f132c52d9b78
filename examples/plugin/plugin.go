package plugin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
)

// Knocks makes sources that follow a file of lines "ADDRESS USER".
var Knocks = plugin.SourceKind{Name: "knocks", New: newKnocks}

// knock is the event of such a source. Rules name it like any other.
const knock = "knock"

type knocks struct {
	name, path string
	every      time.Duration
}

// newKnocks reads the block and touches nothing. It only reports mistakes.
func newKnocks(b *settings.Block, env plugin.SourceEnv) plugin.Source {
	k := &knocks{name: env.Name, every: time.Second}
	b.Require("path", `Write where the file is: path = "/var/log/knocks".`)
	b.String("path", &k.path)
	b.Duration("every", &k.every, time.Millisecond, time.Hour)
	return k
}

// Describe tells the events and their fields, so that a misspelt rule is refused.
func (k *knocks) Describe() plugin.Description {
	return plugin.Description{
		Path:   k.path,
		Events: plugin.Vocabulary{{Name: knock, Fields: []string{"ip", "user"}, Raw: []string{"line"}}},
	}
}

// decode makes an event of a line; nil if it has another form.
func (k *knocks) decode(line string, at time.Time) *event.Event {
	address, user, _ := strings.Cut(strings.TrimSpace(line), " ")
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	return &event.Event{Time: at, Name: knock, Source: k.name, IP: ip.Unmap(), User: user, Fields: map[string]string{"line": line}}
}

// Replay decodes a recording: the same lines from another reader.
func (k *knocks) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (stats plugin.Stats, err error) {
	lines := bufio.NewScanner(rec.R)
	for lines.Scan() && ctx.Err() == nil {
		stats.Lines++
		e := k.decode(lines.Text(), rec.ModTime)
		if e == nil || want != nil && !want[knock] {
			continue
		}
		stats.Recognised = true
		if err := emit(e); err != nil {
			return stats, err
		}
	}
	return stats, errors.Join(ctx.Err(), lines.Err())
}

// Follow begins at the position that was kept, or else at the end of the file, and looks
// for new lines now and then. After an error the engine starts it again.
func (k *knocks) Follow(ctx context.Context, stream plugin.Stream) error {
	f, err := os.Open(k.path)
	if err != nil {
		return err
	}
	defer f.Close()
	at, err := strconv.ParseInt(string(stream.From), 10, 64)
	if err != nil {
		if at, err = f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	}
	stream.Ready() // lines that are written from now on are reported
	for ctx.Err() == nil {
		if at, err = k.read(f, at, stream); err != nil {
			return err
		}
		plugin.Rest(ctx, k.every, nil)
	}
	return nil
}

// read reports the whole lines from a position on, and returns the one behind them.
func (k *knocks) read(f *os.File, at int64, stream plugin.Stream) (int64, error) {
	text, err := io.ReadAll(io.NewSectionReader(f, at, 1<<20))
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	for line := range strings.Lines(string(text)) {
		stream.Progress.Update(func(s *status.Source) { s.Lines++ })
		if e := k.decode(line, time.Now()); e != nil && (stream.Want == nil || stream.Want[knock]) {
			stream.Progress.Emitted(e)
			stream.Emit(e)
		}
	}
	at += int64(len(text))
	if len(text) > 0 {
		stream.Position(strconv.AppendInt(nil, at, 10))
	}
	return at, err
}

// List makes actions that keep a file of the banned targets. It blocks no packets
// itself, so it also gets the bans of rules while auto_block_enabled is false.
var List = plugin.ActionKind{Name: "list", New: newList}

// list holds a state in a file, so it is a [plugin.Level]. A webhook, for instance, needs
// Apply alone.
type list struct {
	path  string
	bans  map[ban.Target]bool
	wrote []byte
}

var _ plugin.Level = (*list)(nil)

func newList(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	l := &list{bans: map[ban.Target]bool{}}
	b.Require("path", `Write where the file is: path = "/var/lib/mine/banned.txt".`)
	if b.String("path", &l.path) && !filepath.IsAbs(l.path) {
		b.Error("path", "Relative path", `Write the whole path, such as "/var/lib/mine/banned.txt".`)
	}
	env.Claim("file " + l.path) // two actions must not write one file
	return l
}

// Apply carries out one batch. A batch may come twice, with the same result.
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
	drift, _ := l.Repair(context.Background()) // the write below is the same
	l.bans = map[ban.Target]bool{}
	for b := range want {
		l.bans[b.Target] = true
	}
	return drift, l.write()
}

// Repair writes the file again if others have changed it.
func (l *list) Repair(context.Context) (drift plugin.Drift, err error) {
	if found, err := os.ReadFile(l.path); err == nil && bytes.Equal(found, l.wrote) {
		return drift, nil
	}
	drift.Notes = append(drift.Notes, l.path+" was changed")
	return drift, l.write()
}

// Withdraw removes the file.
func (l *list) Withdraw(context.Context) error { return os.Remove(l.path) }

// Inspect reads the file for the API and the metrics.
func (l *list) Inspect(context.Context) (found status.Kernel, err error) {
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	for line := range strings.Lines(string(text)) {
		target, err := ban.ParseTarget(strings.TrimSpace(line))
		if err != nil {
			found.Foreign = append(found.Foreign, line)
			continue
		}
		found.Entries = append(found.Entries, status.Entry{Target: target})
	}
	return found, err
}

// write replaces the file.
func (l *list) write() error {
	var text bytes.Buffer
	for _, target := range slices.SortedFunc(maps.Keys(l.bans), ban.Target.Compare) {
		fmt.Fprintln(&text, target)
	}
	next := l.path + ".new"
	if err := os.WriteFile(next, text.Bytes(), 0o644); err != nil {
		return err
	}
	l.wrote = text.Bytes()
	return os.Rename(next, l.path)
}
