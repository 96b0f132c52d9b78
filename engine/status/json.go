package status

import (
	"encoding/json"
	"time"
)

// A List is a slice that encodes as [] where it is nil.
type List[T any] []T

var none = []byte("[]") // encoding/json copies it

// MarshalJSON implements [json.Marshaler].
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return none, nil
	}
	return json.Marshal([]T(l))
}

// Seconds is a duration that encodes as a number of seconds.
type Seconds float64

// InSeconds converts a duration.
func InSeconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration converts back, rounded to nanoseconds.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }
