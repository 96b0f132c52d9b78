package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"

	"golang.org/x/time/rate"
)

// Options are what a node needs of the guard around it.
type Options struct {
	Ledger *ban.Ledger
	// Take enters decisions of peers into the ledger, and returns a verdict on each. Where busy
	// reports true, the ledger has a change of the target that the node has not read: then nothing
	// is entered, and the verdict is Again.
	Take func(ctx context.Context, records []*Record, busy func() map[ban.Target]bool) ([]Verdict, error)
	// Durable returns when what Take entered is on the disk, or could not be saved.
	Durable func(ctx context.Context) error
	// Enforced reports whether a ban of this node is enforced here. Others are not shared.
	Enforced func(*ban.Ban) bool

	Now     func() time.Time
	Dir     string // of what survives a restart; "": nothing does
	Version string
	Log     *slog.Logger
}

// A Verdict is what became of a decision of a peer.
type Verdict struct {
	Refused string // why it is not in force here; "": it is, or says nothing any more
	Again   bool   // see [Options]
}

// A Node is a guard in its fleet. Its methods may be called from any goroutine.
type Node struct {
	cfg     *config.Fleet
	o       Options
	subject string // the prefix of all keys of the bucket: "$KV.freeswitch-security."

	link   link
	table  table
	lease  lease
	peers  peers
	shared *shared

	life    context.Context // until the node has ended
	session *session        // nil: not connected, or not with the bucket yet
	opened  chan opening    // of the attempts to open a session
	opening bool            // one is under way
	retry   time.Duration   // until the next one
	heard   chan heard      // of all sessions
	acks    chan ack
	failed  chan failure // of sessions
	wrote   chan written // by the store

	mu       sync.Mutex      // guards what follows
	told     []*Record       // by the engine
	waiting  []chan struct{} // see Saved
	over     bool            // the node has ended: nothing is saved any more
	wake     chan struct{}
	state    status.Fleet
	problems map[string]status.Problem // by what they are about

	looked time.Time // when state was made; of the loop
}

// New returns a node that does nothing until Run, but for noting what the ledger decides.
func New(cfg *config.Fleet, o Options) *Node {
	o.Log = o.Log.With("node", cfg.Node)
	n := &Node{
		cfg: cfg, o: o, subject: "$KV." + cfg.Bucket + ".",
		opened: make(chan opening), heard: make(chan heard, mostNoted), acks: make(chan ack, 2*mostFlying), failed: make(chan failure, 16),
		wrote: make(chan written, 1),
		wake:  make(chan struct{}, 1), problems: map[string]status.Problem{},
		state: status.Fleet{Node: cfg.Node, Bucket: cfg.Bucket},
	}
	n.link.events = make(chan struct{}, 1)
	n.table = table{entries: map[id]*entry{}, dirty: map[id]bool{}, flying: map[id]flight{}, late: true}
	n.peers = peers{all: map[string]*peer{}, log: rate.NewLimiter(rate.Every(time.Minute), 20)}
	n.shared = newShared(n)
	if n.table.share = cfg.Shares(config.ShareBans); n.table.share {
		n.table.cursor = o.Ledger.Cursor(true, ban.Levels) // of all that is decided from now on
	}
	return n
}

// Name returns the name of this node.
func (n *Node) Name() string { return n.cfg.Node }

// Shares reports whether this node shares something; see [config.Fleet].
func (n *Node) Shares(what string) bool { return n.cfg.Shares(what) }

// Intervals of a node.
const (
	lookEvery  = time.Second      // at what failed
	sweepEvery = time.Minute      // at what is over, and at what was refused
	saveEvery  = time.Second / 2  // what the bucket holds
	saveLatest = 10 * time.Second // in a flood
	firstRetry = time.Second / 10 // to open a session
	lastRetry  = 5 * time.Second
	lastWords  = time.Second // time allowed at the end for what was not sent
)

// mostHeard is the number of records that are taken at once, mostNoted that of messages: most may be of this node, or refused.
const (
	mostHeard = 500
	mostNoted = 4 * mostHeard
)

// Of fewHeard records more are waited for, so that few transactions save them and few system calls enforce them.
const (
	fewHeard  = 10
	gatherFor = 25 * time.Millisecond
)

// Run shares until ctx ends. It returns once all that was told by then is sent, or a second has
// passed.
func (n *Node) Run(ctx context.Context) {
	life, over := context.WithCancel(context.WithoutCancel(ctx))
	n.life = life
	defer over()
	defer n.end()
	n.begin()
	look, save := time.NewTicker(lookEvery), time.NewTicker(saveEvery)
	defer look.Stop()
	defer save.Stop()
	swept := time.Now()
	for {
		select {
		case <-ctx.Done():
			n.finish()
			return
		case <-n.table.ready():
			n.readLedger()
		case <-n.wake:
			n.readLedger() // also what those that wait for Saved have changed there
			n.readTold()
			n.saveTold()
		case <-n.link.events:
			n.look()
		case o := <-n.opened:
			n.enter(o)
		case h := <-n.heard:
			n.hear(h)
		case a := <-n.acks:
			n.acked(a)
		case f := <-n.failed:
			n.lose(f)
		case <-save.C:
			n.saveUnlessFlooded()
		case w := <-n.wrote:
			n.saved(w)
		case <-look.C:
			n.look()
			n.takeLate()
			if time.Since(swept) >= sweepEvery {
				swept = time.Now()
				n.sweep()
			}
		}
		n.pump()
		n.publishState()
	}
}

// begin reads what an earlier run has left, and connects.
func (n *Node) begin() {
	n.openStore()
	if n.table.share {
		n.reconcile()
	}
	n.connect()
}

// finish sends what is left.
func (n *Node) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	n.readLedger()
	n.readTold()
	for n.pump(); n.session != nil && n.table.unsent > 0; n.pump() {
		select {
		case a := <-n.acks:
			n.acked(a)
		case <-n.heard: // it comes again
		case f := <-n.failed:
			n.lose(f)
		case <-ctx.Done():
			n.o.Log.Warn("fleet: changes are sent at the next start", "changes", n.table.unsent)
			return
		}
	}
	n.release(ctx)
}

func (n *Node) end() {
	if n.table.cursor != nil {
		n.table.cursor.Close()
	}
	n.closeSession()
	n.link.close()
	n.closeStore()
	n.endTold()
}

// A heard is a message of the bucket.
type heard struct {
	session *session
	message message
}

// A failure ends a session.
type failure struct {
	session *session
	err     error
}

// look opens a session if there is none, or ends it with the connection, and sends again what failed.
func (n *Node) look() {
	if n.link.trying() {
		return
	}
	connected := n.link.connected()
	if n.session != nil && (!connected || n.link.drops.Load() != n.session.drops) {
		n.lose(failure{n.session, n.link.why()})
	}
	if !connected {
		n.report(aboutBucket, status.Info, "") // not known now
		n.report(aboutServer, status.Warning, n.link.words())
		return
	}
	n.report(aboutServer, status.OK, "")
	if n.session == nil {
		n.open()
		return
	}
	if s := n.session; !s.current && len(n.heard) == 0 && time.Since(s.latest) > lookEvery { // what was left is over
		n.becomeCurrent()
	}
	n.refresh()
	n.table.again()
}

// pump sends what is to be told, in the order in which it was decided, as far as there is room.
func (n *Node) pump() {
	t := &n.table
	if n.session == nil || !n.session.current || len(t.flying) > mostFlying/2 { // few large batches
		return
	}
	for now := n.o.Now(); len(t.flying) < mostFlying; {
		i, f, ok := t.next(now)
		if !ok {
			return
		}
		if err := n.session.propose(n.subject+i.key(), f, now); err != nil {
			t.land(i)
			n.lose(failure{n.session, err})
			return
		}
	}
}
