package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// ErrPlace says that the journal does not have the place.
var ErrPlace = errors.New("the journal does not have the cursor")

// Run runs journalctl and has take read its output: the entries from a place on. It returns
// when take has returned and journalctl has ended; nil if journalctl has succeeded or ctx has
// ended. warn is called with the error output of journalctl, each time from its start.
func (q *Query) Run(ctx context.Context, from Place, follow bool, take func(io.Reader), warn func(string)) error {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return fmt.Errorf("%w: name a file or a named pipe instead, in a source \"log\"", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	output := &errorOutput{warn: warn}
	cmd := exec.CommandContext(ctx, path, q.args(from, follow)...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stderr = output
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err = cmd.Start(); err == nil {
		take(out)
		err = cmd.Wait()
	}
	if err == nil || ctx.Err() != nil { // it was killed
		return nil
	}
	if strings.Contains(output.text, "seek to cursor") {
		return ErrPlace
	}
	return fmt.Errorf("journalctl: %w: %s", err, strings.TrimSpace(output.text))
}

// maxErrorOutput bounds what is kept of the error output, in bytes.
const maxErrorOutput = 1 << 10

// errorOutput is the standard error of journalctl.
type errorOutput struct {
	warn func(string)
	text string // to be read once journalctl has ended
}

func (o *errorOutput) Write(p []byte) (int, error) {
	if room := maxErrorOutput - len(o.text); room > 0 {
		o.text = strings.ToValidUTF8(o.text+string(p[:min(len(p), room)]), "")
		o.warn(strings.Join(strings.Fields(o.text), " "))
	}
	return len(p), nil
}
