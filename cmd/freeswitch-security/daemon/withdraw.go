package daemon

import (
	"context"
	"fmt"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
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
	return engine.Withdraw(ctx, cfg)
}
