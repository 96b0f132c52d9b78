package golden

import "runtime"

// Heap returns the bytes of the heap in use. What pools hold survives one collection.
func Heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
