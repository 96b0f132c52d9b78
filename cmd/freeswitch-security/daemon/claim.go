package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"freeswitch-security/engine/config"

	"golang.org/x/sys/unix"
)

// claims are what the actions of this process have reserved, such as a chain, each with a listening
// abstract socket of its name. A network namespace has such a name once, as it has a chain, and
// loses it with the process. The lock of the state does not suffice: a second guard may have its
// state elsewhere.
type claims struct {
	log  *slog.Logger
	held map[string]net.Listener
}

// take reserves what the actions of a configuration claim, all or nothing. It fails if another
// process has reserved something that could be a guard: it runs as root or as our user. Any user
// can bind the name, so another holder is reported and not obeyed.
func (c *claims) take(cfg *config.Config) error {
	var taken []string
	for _, claim := range claimed(cfg) {
		if c.held[claim] != nil {
			continue
		}
		l, err := net.Listen("unix", socketOf(claim))
		switch {
		case err == nil:
			c.held[claim] = l
			taken = append(taken, claim)
			go answerNone(l)
		case errors.Is(err, unix.EADDRINUSE):
			if err = c.contested(claim); err == nil {
				continue
			}
			for _, claim := range taken {
				c.release(claim)
			}
			return err
		default:
			c.log.Warn("claim not taken: a second guard would not be noticed", "claim", claim, "err", err)
		}
	}
	return nil
}

// keep releases what the actions of a configuration do not claim.
func (c *claims) keep(cfg *config.Config) {
	wanted := claimed(cfg)
	for claim := range c.held {
		if !slices.Contains(wanted, claim) {
			c.release(claim)
		}
	}
}

func (c *claims) release(claim string) {
	_ = c.held[claim].Close()
	delete(c.held, claim)
}

func claimed(cfg *config.Config) (all []string) {
	for _, a := range cfg.Actions {
		all = append(all, a.Claims...)
	}
	return all
}

// socketOf returns the name of a claim's socket; @ stands for abstract.
func socketOf(claim string) string { return "@freeswitch-security/" + claim }

// answerNone closes the connections of those that ask who listens: the kernel tells them.
func answerNone(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

// contested returns an error if the holder of a claim may be a guard.
func (c *claims) contested(claim string) error {
	holder, err := peerOf(socketOf(claim))
	for try := 0; try < 10 && errors.Is(err, unix.ECONNREFUSED); try++ { // between its bind and listen
		time.Sleep(10 * time.Millisecond)
		holder, err = peerOf(socketOf(claim))
	}
	if err == nil && (holder.Uid == 0 || int(holder.Uid) == os.Geteuid()) {
		return fmt.Errorf("%s: another freeswitch-security is using it: process %d%s; end it, or give one of them another chain",
			claim, holder.Pid, commandOf(holder.Pid))
	}
	if err != nil {
		c.log.Warn("claim held by an unknown process: ignored", "claim", claim, "err", err)
		return nil
	}
	c.log.Warn("claim held by a process of another user: ignored", "claim", claim, "pid", holder.Pid, "uid", holder.Uid, "command", commandOf(holder.Pid))
	return nil
}

// peerOf returns the process that listens at a socket.
func peerOf(socket string) (holder *unix.Ucred, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	controlling := raw.Control(func(fd uintptr) { holder, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return holder, errors.Join(err, controlling)
}

// commandOf returns the command line of a process in brackets; "" if it cannot be read.
func commandOf(pid int32) string {
	const most = 200
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(line) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.*q)", most, strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " ")))
}
