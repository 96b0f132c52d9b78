package esltest

import "net"

// Raw sends every connection bytes as they are, subscribed to or not.
func (s *Switch) Raw(text string) {
	for _, c := range s.standing() {
		c.send(text)
	}
}

// Drop ends all connections without a word, as a switch does that is killed.
func (s *Switch) Drop() {
	for _, c := range s.standing() {
		_ = c.net.Close()
	}
}

// Reset ends all connections with a TCP reset.
func (s *Switch) Reset() {
	for _, c := range s.standing() {
		if tcp, ok := c.net.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.net.Close()
	}
}

// Shutdown ends all connections as a switch does that is stopped in good order.
func (s *Switch) Shutdown() {
	s.Raw(notice("text/disconnect-notice", "The system is being shut down.\n"))
	s.Drop()
}

// KillSlow ends all connections as a switch ends that of a listener who reads too
// slowly: within an event, directly followed by the notice.
func (s *Switch) KillSlow() {
	event := jsonEvent(map[string]string{"Event-Name": "HEARTBEAT", "Core-UUID": "4f3bad21-c853-4501-98a9-efbd05dd047b"}, "")
	s.Raw(event.raw[:len(event.raw)/2] + notice("text/disconnect-notice", "killed listener because of lost events\n"))
	s.Drop()
}

// Linger sends the notice that more will come before the connection ends.
func (s *Switch) Linger() {
	const text = "Disconnected, goodbye.\n"
	s.Raw("Content-Type: text/disconnect-notice\nContent-Disposition: linger\nContent-Length: 23\n\n" + text)
}

// Freeze makes every connection say nothing more without ending it, as one does
// whose other side lost its power.
func (s *Switch) Freeze() {
	for _, c := range s.standing() {
		c.write.Lock()
		c.muted = true
		c.write.Unlock()
	}
}
