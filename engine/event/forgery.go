package event

// The raw fields of a log_forgery: what the forged line claimed.
const (
	ClaimedEvent = "claimed_event"
	ClaimedIP    = "claimed_ip"
)

// Forgery returns the log_forgery event for a line that a caller wrote. Its
// address is the sender's, where the log tells it. What the line claims about
// others is kept only in raw fields and as text.
func Forgery(ev *Event) *Event {
	f := &Event{
		Time: ev.Time, Live: ev.Live, Shifted: ev.Shifted, Name: LogForgery, Source: ev.Source, IP: ev.Sender,
		Level: ev.Level, File: ev.File, Message: ev.Message, Text: ev.Text,
		Fields: map[string]string{ClaimedEvent: ev.Name},
	}
	if ev.IP.IsValid() {
		f.Fields[ClaimedIP] = ev.IP.String()
	}
	return f
}
