package plugin

import (
	"context"

	"freeswitch-security/engine/status"
)

// An Inspector is an action that can show what it has done in the kernel.
type Inspector interface {
	Level
	// Inspect looks at the kernel and changes nothing. It may be called at any
	// time, beside Apply and Resync. What could be read comes back with the error.
	Inspect(ctx context.Context) (status.Kernel, error)
}
