package iptables

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

var wait = strconv.Itoa(int(lockWait / time.Second))

// listings lists tables, each with one program.
func (t *toolset) listings(ctx context.Context, tables []table) ([]listing, error) {
	var listings []listing
	for _, table := range tables {
		l, err := t.listing(ctx, table.name)
		if err != nil {
			return nil, err
		}
		listings = append(listings, l)
	}
	return listings, nil
}

// listing lists one table, with further options.
func (t *toolset) listing(ctx context.Context, table string, options ...string) (listing, error) {
	out, err := run(ctx, t.list, "", append([]string{"-w", wait, "-t", table, "-S"}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("list table %s: %w", table, err)
	}
	return parseListing(out), nil
}

// commit passes plans to iptables-restore, which commits each table atomically.
func (t *toolset) commit(ctx context.Context, plans []plan) error {
	input := restoreInput(plans)
	if input == "" {
		return nil
	}
	_, err := run(ctx, t.restore, input, "--noflush", "--wait="+wait)
	return err
}
