package iptables

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"freeswitch-security/engine/plugin"
)

// Commits of other programs are passed on one by one: after commitBurst of them, every commitEvery,
// so that a program that commits without pause delays no repair and takes no more of the processor.
const (
	commitBurst = 10
	commitEvery = 25 * time.Millisecond
)

// listenAgain is the pause after the notifications have failed.
const listenAgain = 30 * time.Second

// Serve implements [plugin.Server]: it hears the commits to nf_tables, and asks for a repair after
// each. Its own commits and those that changed nothing of ours cost a comparison. The tables of
// iptables-legacy and the members of sets have no notifications: a Resync finds what was changed.
func (a *Action) Serve(ctx context.Context) {
	a.serving.Store(true)
	defer func() { // Apply, Resync and Repair have ended
		if a.kept != nil {
			a.kept.close()
		}
		a.release()
	}()
	told := ""
	for ctx.Err() == nil {
		began := time.Now()
		err := a.hear(ctx)
		if time.Since(began) > listenAgain {
			told = "" // it was heard meanwhile
		}
		if ctx.Err() == nil && err.Error() != told {
			slog.Warn("changes of the firewall not heard: only polled", "chain", a.config.chain, "err", err)
			told = err.Error()
		}
		plugin.Rest(ctx, listenAgain, nil)
	}
}

// hear asks for a repair after each commit until ctx ends or the notifications fail.
func (a *Action) hear(ctx context.Context) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	s, err := dial(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { s.close() }()
	lost := noLosses()
	pace := rate.NewLimiter(rate.Every(commitEvery), commitBurst)
	for {
		a.changed() // first for what was committed before
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		for heard := false; !heard; {
			messages, err := conn.Receive()
			switch {
			case errors.Is(err, unix.ENOBUFS): // some were lost
				heard = true
			case err != nil:
				return err
			default:
				for _, m := range messages {
					lost.note(a, m)
				}
				if heard = slices.ContainsFunc(messages, isCommit); !heard {
					continue
				}
				err := a.putBack(s, lost)
				lost = noLosses()
				if err != nil { // Repair tries again; answers may be waiting
					again, err := dial(ctx, 0)
					if err != nil {
						return err
					}
					s.close()
					s = again
				}
			}
		}
	}
}

func isCommit(m netlink.Message) bool {
	return m.Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN
}
