package rule

// slabChunk is the number of values that are allocated together: enough to be cheap,
// few enough that a rule with one key stays small.
const slabChunk = 256

// A slab holds values by index, never moves them and never frees them: its user keeps
// a free list. No value has index 0, which is valid once there is a value. If T has no
// pointers, the garbage collector sees one pointer per chunk.
type slab[T any] struct {
	chunks []*[slabChunk]T
	used   uint32 // the last index
}

func (s *slab[T]) at(i uint32) *T { return &s.chunks[i/slabChunk][i%slabChunk] }

// extend returns the index of a new value, which is never 0.
func (s *slab[T]) extend() uint32 {
	s.used++
	if int(s.used/slabChunk) == len(s.chunks) {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	return s.used
}
