package rule

// slabChunk is the number of values that are allocated together: enough to be cheap,
// few enough that a rule with one key stays small.
const slabChunk = 256

// A slab holds values by index, never moves them and never frees them: its user keeps
// a free list. If T has no pointers, the garbage collector sees one pointer per chunk.
type slab[T any] struct {
	chunks []*[slabChunk]T
	used   uint32
}

func (s *slab[T]) at(i uint32) *T { return &s.chunks[i/slabChunk][i%slabChunk] }

// extend returns the index of a new value.
func (s *slab[T]) extend() uint32 {
	if int(s.used) == len(s.chunks)*slabChunk {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	s.used++
	return s.used - 1
}

// grow makes index i valid.
func (s *slab[T]) grow(i uint32) {
	for s.used <= i {
		s.extend()
	}
}
