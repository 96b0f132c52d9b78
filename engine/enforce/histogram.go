package enforce

import "slices"

// The upper bounds of a histogram's buckets. What is above the last one is in none.
var (
	latencyBounds = []float64{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3}
	batchBounds   = []float64{1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000}
)

// A Histogram is how a number was distributed. The zero value is that of no
// numbers.
type Histogram struct {
	Count  uint64
	Sum    float64
	Bounds []float64  // upper, ascending; of Counts
	Counts [10]uint64 // how many were not above each bound
}

func (h *Histogram) add(value float64, bounds []float64) {
	h.Bounds = bounds
	h.Count++
	h.Sum += value
	i, _ := slices.BinarySearch(bounds, value)
	for ; i < len(bounds); i++ {
		h.Counts[i]++
	}
}
