package golden

import (
	"bytes"
	"sync"
)

// An Output may be written to and read at the same time.
type Output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
