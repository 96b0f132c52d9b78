package rule

// slabChunk is how many values are allocated at a time: enough to cost little,
// few enough that a rule which tracks one key stays small.
const slabChunk = 256

// A slab hands out values by index, never moves them, and never gives them back:
// its user keeps a free list. Where T holds no pointers the garbage collector
// sees one pointer per chunk.
type slab[T any] struct {
	chunks []*[slabChunk]T
	used   uint32
}

func (s *slab[T]) at(i uint32) *T { return &s.chunks[i/slabChunk][i%slabChunk] }

// extend returns the index of a value that was never used before.
func (s *slab[T]) extend() uint32 {
	if int(s.used) == len(s.chunks)*slabChunk {
		s.chunks = append(s.chunks, new([slabChunk]T))
	}
	s.used++
	return s.used - 1
}

// reach makes sure that index i can be used.
func (s *slab[T]) reach(i uint32) {
	for s.used <= i {
		s.extend()
	}
}
