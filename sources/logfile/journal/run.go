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

// Run has journalctl write the entries from a place on, and take read them. It returns
// when take has returned and journalctl has ended: nil if it has nothing more to write.
// complain is called with what journalctl says beside.
func (q *Query) Run(ctx context.Context, from Place, follow bool, take func(io.Reader), complain func(string)) error {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return fmt.Errorf("%w: name a file or a named pipe instead, in a source \"log\"", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := &complaints{told: complain}
	cmd := exec.CommandContext(ctx, path, q.args(from, follow)...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stderr = said
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
	if strings.Contains(said.text, "seek to cursor") {
		return ErrPlace
	}
	return fmt.Errorf("journalctl: %w: %s", err, said.text)
}

// complaintLength bounds what is kept of what journalctl says, in bytes.
const complaintLength = 1 << 10

// complaints is the standard error of journalctl.
type complaints struct {
	told func(string)
	text string // to be read once journalctl has ended
}

func (c *complaints) Write(p []byte) (int, error) {
	if room := complaintLength - len(c.text); room > 0 {
		c.text = strings.ToValidUTF8(c.text+string(p[:min(len(p), room)]), "")
		c.told(strings.Join(strings.Fields(c.text), " "))
	}
	return len(p), nil
}
