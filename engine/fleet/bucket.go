package fleet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/status"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A session is what a node does with the bucket during one connection. A new one begins after each
// reconnect, at the record after the last one that was heard: the client's own watcher would notice
// a restart of the server only by missing heartbeats, after nine seconds.
type session struct {
	js       jetstream.JetStream
	stream   jetstream.Stream
	consumer jetstream.Consumer
	created  time.Time
	fresh    bool      // the bucket is not the one of the session before, or has lost what that had
	waiting  uint64    // records that it had when the session began, and that are not heard yet
	number   uint64    // of the latest message of the reader
	latest   time.Time // when messages were heard, and taken
	current  bool      // waiting was 0, or nothing came for a while
	drops    uint64    // of connections, when it began
	lease    uint64    // the revision of the node's name
	leased   time.Time
	renew    time.Duration // after leased
	over     context.CancelFunc

	unanswered int // renewals in a row
}

// An opening is the result of an attempt to open a session.
type opening struct {
	session *session
	after   uint64 // the sequence of the table when it began
	err     error
}

// A message is a value of a key that was heard.
type message struct {
	key      string
	value    []byte
	sequence uint64    // in the bucket: the revision of the key
	number   uint64    // of the messages of the session; 0: it was asked for
	stored   time.Time // by the clock of the server
	gone     bool      // the key is empty
}

// Bounds of the bucket and of talking to it.
const (
	requestTimeout = 3 * time.Second
	mostFlying     = 1000                // proposals without an answer
	markerTTL      = time.Minute         // how long the bucket tells that a key is over
	leastTTL       = time.Minute         // that a ban stays in the bucket beyond its end
	remembered     = 30 * 24 * time.Hour // how long the bucket keeps an unban, against late copies
	leastVersion   = "2.11.0"
)

// open begins to open a session, unless that is under way or waits.
func (n *Node) open() {
	if n.opening {
		return
	}
	n.opening = true
	created, sequence, anchors := n.table.created, n.table.sequence, n.table.anchors(n.o.Now())
	ctx, after := n.life, n.retry
	go func() {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return
		}
		s, err := n.newSession(ctx, created, sequence, anchors)
		select {
		case n.opened <- opening{s, sequence, err}:
		case <-ctx.Done():
		}
	}()
}

// enter begins with a session that was opened.
func (n *Node) enter(o opening) {
	n.opening = false
	if o.err != nil {
		n.retry = min(max(2*n.retry, firstRetry), lastRetry)
		if n.link.connected() {
			n.report(aboutBucket, status.Warning, inWords(o.err)+"; this node goes on by itself")
			n.open()
		}
		return
	}
	n.retry = 0
	if n.table.sequence < o.after { // records are to be heard again; the server forgets this reader after 30 seconds
		n.open()
		return
	}
	n.report(aboutBucket, status.OK, "")
	n.session, o.session.latest = o.session, time.Now()
	if o.session.fresh {
		n.restart(o.session)
	}
	n.table.requeue()
	if err := n.session.begin(n); err != nil {
		n.lose(failure{n.session, err})
		return
	}
	if o.session.waiting == 0 {
		n.becomeCurrent()
	}
}

// restart begins with a bucket that is not the one from before: what that held is proposed
// again, also for peers that may be gone.
func (n *Node) restart(s *session) {
	lost := !n.table.created.IsZero()
	n.table.created, n.table.sequence = s.created, 0
	if lost {
		n.o.Log.Warn("bucket of the fleet was lost: it is filled again with what this node has", "bucket", n.cfg.Bucket, "records", len(n.table.entries))
		n.relay()
	}
}

// lose ends a session.
func (n *Node) lose(f failure) {
	if n.session == nil || f.session != n.session {
		return
	}
	n.o.Log.Debug("fleet session lost", "err", f.err)
	n.closeSession()
	n.retry = max(n.retry, firstRetry)
	n.link.wake()
}

func (n *Node) closeSession() {
	if n.session != nil {
		n.session.over()
		n.session = nil
	}
	clear(n.table.flying)
}

// newSession finds or makes the bucket, takes the node's name, and begins to read after sequence of
// the bucket that was created at created and has the anchors.
func (n *Node) newSession(ctx context.Context, created time.Time, sequence uint64, anchors []anchor) (s *session, err error) {
	conn := n.link.get()
	if version := conn.ConnectedServerVersion(); older(version, leastVersion) {
		return nil, fmt.Errorf("the server is of version %s: at least %s is needed", version, leastVersion)
	}
	asking, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	n.link.ask(cancel)
	defer func() {
		if denied := n.link.refusal(); err != nil && denied != nil {
			err = denied // what is denied is not answered
		}
	}()
	s = &session{drops: n.link.drops.Load()}
	s.js, err = jetstream.New(conn, jetstream.WithPublishAsyncTimeout(requestTimeout), jetstream.WithDefaultTimeout(requestTimeout),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { n.answered(ctx, s, m, 0, err) }),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, a *jetstream.PubAck) { n.answered(ctx, s, m, a.Sequence, nil) }))
	if err != nil {
		return nil, err
	}
	if err := s.find(asking, n.cfg.Bucket, n.subject); err != nil {
		return nil, err
	}
	info := s.stream.CachedInfo()
	s.created = info.Created
	s.fresh = !created.Equal(s.created) || info.State.LastSeq < sequence
	if !s.fresh {
		s.fresh, err = s.lacks(asking, n.subject, anchors)
	}
	if err != nil {
		return nil, err
	}
	if s.fresh {
		sequence = 0
	}
	if s.lease, err = n.lease.take(asking, s, n); err != nil {
		return nil, err
	}
	s.leased, s.renew = time.Now(), leaseEvery
	return s, s.read(asking, n, sequence)
}

// find finds the bucket, or makes it.
func (s *session) find(ctx context.Context, bucket, subject string) (err error) {
	s.stream, err = s.js.Stream(ctx, "KV_"+bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.stream, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "KV_" + bucket, Subjects: []string{subject + ">"}, Description: "bans of a fleet of freeswitch-security",
			MaxMsgsPerSubject: 1, MaxMsgSize: 2 * maxRecord, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, Duplicates: requestTimeout,
			AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerTTL, AllowRollup: true, DenyDelete: true, AllowDirect: true,
		})
	}
	if err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	if c := s.stream.CachedInfo().Config; !c.AllowMsgTTL || c.MaxMsgsPerSubject != 1 {
		return fmt.Errorf("bucket %s was made without TTLs for keys, or with a history: remove it, and a node makes it again", bucket)
	}
	return nil
}

// read makes a reader of the bucket after sequence; after 0, of the latest value of each key.
func (s *session) read(ctx context.Context, n *Node, sequence uint64) error {
	config := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 30 * time.Second,
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: n.subject + ">",
	}
	if sequence > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, sequence+1
	}
	consumer, err := s.stream.CreateConsumer(ctx, config)
	if err != nil {
		return err
	}
	s.consumer, s.waiting = consumer, consumer.CachedInfo().NumPending
	return nil
}

// begin begins to read. What is heard before the session is that of the node would be lost.
func (s *session) begin(n *Node) error {
	reading, over := context.WithCancel(n.life)
	reader, err := s.consumer.Consume(func(m jetstream.Msg) {
		got, ok := parse(m, n.subject)
		if !ok {
			return
		}
		select {
		case n.heard <- heard{s, got}:
		case <-reading.Done():
		}
	}, jetstream.PullMaxMessages(mostNoted), jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(2*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			select {
			case n.failed <- failure{s, err}:
			case <-reading.Done():
			}
		}))
	s.over = func() {
		over()
		if reader != nil {
			reader.Stop()
		}
		s.js.CleanupPublisher()
	}
	return err
}

// parse reads the frame of a message.
func parse(m jetstream.Msg, prefix string) (got message, ok bool) {
	meta, err := m.Metadata()
	if err != nil {
		return got, false
	}
	got = message{
		key: strings.TrimPrefix(m.Subject(), prefix), value: m.Data(),
		sequence: meta.Sequence.Stream, number: meta.Sequence.Consumer, stored: meta.Timestamp,
	}
	got.gone = isMarker(m.Headers())
	return got, true
}

// isMarker reports whether a message says that a key is empty: it is over, or was deleted.
func isMarker(h nats.Header) bool {
	return h.Get(jetstream.MarkerReasonHeader) != "" || h.Get("KV-Operation") == "DEL" || h.Get("KV-Operation") == "PURGE"
}

// propose sends a record on the condition that its key has the revision of the flight.
func (s *session) propose(subject string, f flight, now time.Time) error {
	options := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(f.rev)}
	if ttl := f.record.ttl(now); ttl > 0 {
		options = append(options, jetstream.WithMsgTTL(ttl))
	}
	_, err := s.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: f.value}, options...)
	return err
}

// ttl returns how long the bucket keeps the record, in whole seconds; 0: without an end.
func (r *Record) ttl(now time.Time) time.Duration {
	switch {
	case r.Kind == KindUnban || r.Kind == KindUntrust:
		return max(remembered, r.Until.Sub(now)).Round(time.Second)
	case r.Until.IsZero():
		return 0
	}
	return (max(0, r.Until.Sub(now)) + leastTTL).Round(time.Second)
}

// An ack is the server's answer to a proposal.
type ack struct {
	session  *session
	key      string
	sequence uint64 // the new revision
	err      error
}

// answered passes on an answer.
func (n *Node) answered(ctx context.Context, s *session, m *nats.Msg, sequence uint64, err error) {
	select {
	case n.acks <- ack{s, strings.TrimPrefix(m.Subject, n.subject), sequence, err}:
	case <-ctx.Done():
	}
}

// conflict reports whether a proposal failed because the key has another revision.
func conflict(err error) bool {
	var of jetstream.JetStreamError
	if !errors.As(err, &of) || of.APIError() == nil {
		var api *jetstream.APIError
		return errors.As(err, &api) && isConflict(api.ErrorCode)
	}
	return isConflict(of.APIError().ErrorCode)
}

func isConflict(code jetstream.ErrorCode) bool {
	return code == jetstream.JSErrCodeStreamWrongLastSequence || code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// fetch asks for the value of a key, and has it heard. It is for a key whose revision is not the
// one that was heard.
func (n *Node) fetch(ctx context.Context, s *session, i id) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	got := message{key: i.key()}
	m, err := s.stream.GetLastMsgForSubject(ctx, n.subject+got.key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		got.gone = true
	case err != nil:
		return // it is proposed again
	default:
		got.value, got.sequence, got.stored, got.gone = m.Data, m.Sequence, m.Time, isMarker(m.Header)
	}
	select {
	case n.heard <- heard{s, got}:
	case <-ctx.Done():
	}
}

// older reports whether a version of a server is older than another one.
func older(version, than string) bool {
	a, b := strings.SplitN(version, ".", 3), strings.SplitN(than, ".", 3)
	for i := range min(len(a), len(b), 2) {
		x, err := strconv.Atoi(a[i])
		y, _ := strconv.Atoi(b[i])
		if err != nil || x != y {
			return err == nil && x < y
		}
	}
	return false
}

// inWords says what an error of the client means, and what to do.
func inWords(err error) string {
	var api *jetstream.APIError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	text := strings.TrimPrefix(err.Error(), "nats: ")
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return "the server does not accept the credentials (" + text + "): look at credentials, user and password in the fleet block"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "the account has no right to what the guard needs (" + clip(text, maxText) + "): give it the rights of examples/fleet"
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "JetStream is not enabled at the server, or not for the account: set jetstream in the server's configuration"
	case errors.As(err, &api) && api.Code == 503, errors.As(err, &api) && (api.ErrorCode == 10047 || api.ErrorCode == 10077):
		return "the server has no room for changes (" + text + "): its disk, or the limit of the account or the bucket, is full"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return "the server is connected and does not answer: its disk is full or hangs, or the account has no right to JetStream. Once the disk has room again, restart the server"
	case errors.As(err, &unknown):
		return "no authority that this guard trusts has signed the server's certificate: set ca in the tls block of fleet to the file of its authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired, or the clock of this host is wrong: renew the certificate"
	case errors.As(err, &host):
		return "the server's certificate is not for the name or address in servers (" + clip(text, maxText) + ")"
	case strings.Contains(text, "certificate required"):
		return "the server asks for a certificate of this guard: set cert and key in the tls block of fleet"
	case errors.Is(err, nats.ErrNoServers):
		return "no server can be reached"
	}
	return text
}
