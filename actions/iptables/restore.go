package iptables

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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

// commit passes input to iptables-restore, which commits each table atomically. A ban
// that it cannot parse is removed from the input and in refused; the others are in
// force.
func (t *toolset) commit(ctx context.Context, input string) (refused []error, err error) {
	if input == "" {
		return nil, nil
	}
	for {
		_, err := run(ctx, t.restore, input, "--noflush", "--wait="+wait)
		if err == nil {
			return refused, nil
		}
		rest, line := withoutBan(input, refusedLine(err))
		if line == "" {
			return refused, err
		}
		refused = append(refused, fmt.Errorf("%s: %w", line, err))
		input = rest
	}
}

// withoutBan removes line n, counted from 1, from the input if it adds a ban, and
// returns the line.
func withoutBan(input string, n int) (rest, line string) {
	lines := strings.SplitAfter(input, "\n")
	if n < 1 || n > len(lines) {
		return input, ""
	}
	line = strings.TrimSuffix(lines[n-1], "\n")
	adds := strings.HasPrefix(line, "-A ") || strings.HasPrefix(line, "-I ")
	if !adds || !strings.Contains(line, " -s ") {
		return input, ""
	}
	lines[n-1] = ""
	return strings.Join(lines, ""), line
}
