package daemon

import (
	"context"
	"errors"
	"fmt"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// Withdraw removes what the actions of a configuration have put in force outside of the program. It
// fails while a guard is running, which would put it back.
func Withdraw(ctx context.Context, cfg *config.Config) error {
	for _, claim := range claimed(cfg) {
		if holder, err := peerOf(socketOf(claim)); err == nil {
			return fmt.Errorf("%s: process %d%s is using it; end it first: systemctl stop freeswitch-security",
				claim, holder.Pid, commandOf(holder.Pid))
		}
	}
	var errs []error
	for _, a := range cfg.Actions {
		if level, ok := a.Action.(plugin.Level); ok {
			if err := level.Withdraw(ctx); err != nil {
				errs = append(errs, fmt.Errorf("action %s: %w", a.Ref, err))
			}
		}
	}
	return errors.Join(errs...)
}
