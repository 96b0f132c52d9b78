package esl

import (
	"context"
	"fmt"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/status"
)

// The switch is told to mirror its packets at each connect, when a SIP profile starts, and
// every five minutes: a profile forgets it when it restarts.

const noCaptureServer = "FreeSWITCH has no capture-server, so it mirrors no SIP packets: add " +
	`<param name="capture-server" value="udp:127.0.0.1:9060;hep=3"/> to the global_settings of autoload_configs/sofia.conf.xml, ` +
	"then fs_cli -x 'sofia profile internal rescan'"

// profileStarted is the event of a SIP profile that is ready for commands. Trap:
// sofia::profile_start comes before.
const profileStarted = "PUBLISH"

func startsProfile(m *esl.Message) bool {
	return m.Name() == profileStarted && m.Headers["module_name"] == "mod_sofia"
}

// recapture requests that the capture is switched on. It does not wait.
func (l *lister) recapture() {
	l.uncaptured.Store(true)
	l.refresh()
}

// switchCaptureOn changes nothing where the capture is on. FreeSWITCH accepts the command also
// if it has no target, and does nothing then.
func (l *lister) switchCaptureOn(ctx context.Context) error {
	target, err := ask(ctx, l, func(ctx context.Context, c esl.Commander) (string, error) {
		l.uncaptured.Store(false) // a profile that starts meanwhile needs it again
		if _, err := c.API(ctx, "sofia", "global", "capture", "on"); err != nil {
			return "", fmt.Errorf("switch capture on: %w", err)
		}
		return esl.CaptureServer(ctx, c)
	})
	text := ""
	if err == nil && target == "" {
		text = noCaptureServer
	}
	if err != nil || text != "" {
		l.uncaptured.Store(true)
	}
	l.progress.warn("capture", status.Warning, text)
	return err
}
