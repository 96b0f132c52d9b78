package esltest

import "net"

// Raw sends bytes to every connection.
func (s *Switch) Raw(text string) {
	for _, c := range s.open() {
		c.send(text)
	}
}

// Drop closes all connections without a notice, as a killed switch does.
func (s *Switch) Drop() {
	for _, c := range s.open() {
		_ = c.net.Close()
	}
}

// Reset ends all connections with a TCP reset.
func (s *Switch) Reset() {
	for _, c := range s.open() {
		_ = c.net.(*net.TCPConn).SetLinger(0)
	}
	s.Drop()
}

// Shutdown ends all connections as a switch does that is shut down.
func (s *Switch) Shutdown() {
	s.Raw(frame("text/disconnect-notice", "The system is being shut down.\n"))
	s.Drop()
}

// KillSlow ends all connections as a switch does with a slow listener: in the middle
// of an event, directly followed by the notice.
func (s *Switch) KillSlow() {
	event := eventFrame("text/event-json", eventJSON(map[string]string{"Event-Name": "HEARTBEAT", "Core-UUID": coreUUID}, ""))
	s.Raw(event[:len(event)/2] + frame("text/disconnect-notice", "killed listener because of lost events\n"))
	s.Drop()
}

// Linger sends the notice after which more frames come before the connection ends.
func (s *Switch) Linger() {
	s.Raw("Content-Type: text/disconnect-notice\nContent-Disposition: linger\nContent-Length: 23\n\nDisconnected, goodbye.\n")
}

// Freeze makes every connection silent without ending it, as a host does that loses
// its power.
func (s *Switch) Freeze() {
	for _, c := range s.open() {
		c.mute()
	}
}
