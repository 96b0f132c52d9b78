package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/exchange"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"

	"golang.org/x/net/ipv4"
)

// Follow reports what is mirrored to the listener until ctx ends. It returns an error if the
// port cannot be opened. What was mirrored before is lost, so there is no position.
func (s *source) Follow(ctx context.Context, stream plugin.Stream) error {
	sockets, err := open(ctx, s.listen)
	if err != nil {
		return err
	}
	f := s.newFollower(stream, sockets)
	stream.Ready()
	return f.run(ctx)
}

// A follower hears what is sent to one listener. A goroutine reads datagrams, and one each
// connection; they never wait for the engine. The goroutine of run emits the events.
type follower struct {
	*source
	sockets *sockets
	conns   connections
	queue   *plugin.Queue
	forward *forwarder // nil: nothing is sent on

	mu       sync.Mutex // guards the fields below
	progress *progress
	table    *exchange.Table
	packet   packet.Packet // reused
	local    *local        // addresses of this host
	known    uint64        // packets of a known switch at the last look
	astray   uint64        // those without
	dropped  uint32        // by the kernel, when it was last counted

	burst []*event.Event // of the datagrams at hand, which wake the others once
}

func (s *source) newFollower(stream plugin.Stream, sockets *sockets) *follower {
	queue := plugin.NewQueue(s.queue, stream)
	f := &follower{
		source: s, sockets: sockets, queue: queue, local: new(local),

		progress: newProgress(stream.Progress, queue.Len),
	}
	f.local.refresh(time.Now())
	f.table = s.newTable(stream.Want, f.local.has)
	if s.forward != "" {
		f.forward = &forwarder{to: s.forward}
	}
	return f
}

// run returns when ctx has ended, or the socket has failed, and all events are emitted.
func (f *follower) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(ctx, f.sockets.close)
	var readers sync.WaitGroup
	readers.Go(func() { cancel(f.sockets.receive(f.takeBatch)) })
	readers.Go(func() { f.accept(ctx) })
	readers.Go(func() { f.look(ctx) })
	if f.forward != nil {
		readers.Go(func() { f.forward.connect(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		readers.Wait()
		close(ended)
	}()
	f.queue.EmitUntil(ended, nil)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// look brings the problems and the addresses of the host up to date.
func (f *follower) look(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.mu.Lock()
			if f.forward != nil {
				f.progress.fault("forward", f.forward.fault())
			}
			if f.local.refresh(now) {
				f.judgeSides()
			}
			f.progress.look(now)
			f.mu.Unlock()
		}
	}
}

// minAstray is the number of packets without a known switch, since the last look, from which
// it is likely not known at all.
const minAstray = 100

// judgeSides reports if most packets are between two addresses of which neither, or each, is
// the switch: they lead to no event.
func (f *follower) judgeSides() {
	counts := f.table.Counts()
	known, astray := counts.Requests+counts.Answers, counts.NoSwitch
	if astray-f.astray >= minAstray && astray-f.astray > known-f.known {
		f.progress.fault("switch", "most packets are between two addresses of which neither, or each, is the switch: set `switch` to its addresses")
	}
	f.known, f.astray = known, astray
}

// takeBatch takes datagrams, and counts what the kernel has dropped.
func (f *follower) takeBatch(batch []ipv4.Message, dropped uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := dropped - f.dropped; n > 0 {
		f.dropped = dropped
		f.progress.lost += uint64(n)
		f.progress.fault("kernel", "the kernel dropped packets, because the guard was busy and "+f.sockets.capacity())
	}
	for i := range batch {
		sender, ok := batch[i].Addr.(*net.UDPAddr)
		data := batch[i].Buffers[0][:batch[i].N]
		switch {
		case !ok:
		case !f.accepts(sender.AddrPort().Addr()):
			f.progress.count(data)
			f.progress.skip("from", "packets of senders outside `from` are discarded, such as those of "+sender.AddrPort().Addr().Unmap().String())
		case f.forward.isSender(sender.AddrPort()):
			f.progress.skip("forward", "what is forwarded comes back to this source: set `forward` to another listener")
		default:
			f.hear(sender.AddrPort().Addr(), data, &f.packet, hep.Decode(data, f.key, &f.packet))
		}
	}
	f.flush()
	f.progress.unsent += f.forward.flush()
	f.progress.flush(f.packet.Time)
}

// takeOne takes a packet of a connection.
func (f *follower) takeOne(sender netip.Addr, data []byte, p *packet.Packet, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hear(sender, data, p, err)
	f.flush()
	f.progress.unsent += f.forward.flush()
	f.progress.flush(p.Time)
}

// accepts reports whether a sender may mirror packets.
func (s *source) accepts(sender netip.Addr) bool {
	return len(s.from) == 0 || slices.ContainsFunc(s.from, func(p netip.Prefix) bool { return p.Contains(sender.Unmap()) })
}

// hear takes a packet that was decoded, or the error, and the events that it leads to.
func (f *follower) hear(sender netip.Addr, data []byte, p *packet.Packet, err error) {
	f.progress.count(data)
	if errors.Is(err, hep.ErrKey) {
		f.progress.skip("key", "packets without the right key are discarded, such as those of "+sender.Unmap().String()+": give that agent the key of this source")
		return
	}
	f.forward.add(data)
	switch {
	case errors.Is(err, hep.ErrNotSIP):
		f.progress.skipped++
	case errors.Is(err, hep.ErrNoAddress):
		f.progress.skip(withoutAddress, "packets without addresses are discarded: FreeSWITCH mirrors IPv6 without them; an agent such as heplify has them")
	case err != nil:
		f.progress.skip("hep", "packets that cannot be read are discarded, such as those of "+sender.Unmap().String()+": "+err.Error())
	default:
		if p.Time.Unix() <= 0 {
			p.Time = time.Now() // the agent sends none
		}
		f.progress.heard = true
		f.table.Take(p, f.put)
	}
}

// put takes an event, which flush queues.
func (f *follower) put(e *event.Event) {
	e.Live = true
	f.burst = append(f.burst, e)
}

// flush queues the events that were taken. It never waits.
func (f *follower) flush() {
	for _, e := range f.burst {
		if !f.queue.Put(e) {
			f.progress.lost++
		}
	}
	clear(f.burst)
	f.burst = f.burst[:0]
}
