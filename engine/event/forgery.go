package event

// The raw fields of a log_forgery: what the line claimed to be.
const (
	ClaimedEvent = "claimed_event"
	ClaimedIP    = "claimed_ip"
)

// Forgery returns what ev is if its line was written by a caller: a log_forgery
// against him, where the log tells who he is. What the line claims of others is
// kept as a claim, and for people to read.
func Forgery(ev *Event) *Event {
	f := &Event{
		Time: ev.Time, Name: LogForgery, Source: ev.Source, IP: ev.Sender,
		Level: ev.Level, File: ev.File, Message: ev.Message, Text: ev.Text,
		Fields: map[string]string{ClaimedEvent: ev.Name},
	}
	if ev.IP.IsValid() {
		f.Fields[ClaimedIP] = ev.IP.String()
	}
	return f
}
