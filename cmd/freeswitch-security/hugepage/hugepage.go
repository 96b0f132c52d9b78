package hugepage

import (
	"syscall"
	"unsafe"
)

// What package syscall has no names for.
const (
	madvHugepage = 14 // for pages that nothing has used
	madvSmall    = 15 // likewise: not huge
	madvCollapse = 25 // for the others; from Linux 6.1
)

// Sizes in bytes. Chunks, by which the heap grows, and huge pages are aligned.
const (
	chunk    = 4 << 20
	pageSize = 2 << 20
)

// The heap begins with the chunk start, at a place in it that differs in each process.
var (
	first = uintptr(unsafe.Pointer(new([64]byte)))
	start = first &^ (chunk - 1)
)

func init() {
	huge(start, start+chunk)
	if start+chunk-first < pageSize { // about what all packages allocate
		Grow[[pageSize / 2]byte]()
	}
}

// A Room is a part of the heap that Grow has prepared, without the first chunk.
type Room struct{ from, to uintptr }

// Grow makes huge pages of the next bytes of the heap, too: of twice as many as a T has. Where the address space
// is scarce it does nothing, and the room is empty.
//
// The heap grows by the stack of a goroutine whose function has a T in its frame. It uses nothing of it, and its end
// frees the stack. What else frees a part of the heap is a collection of garbage, which takes 6 ms at a start.
func Grow[T any]() (room Room) {
	size := 2 * unsafe.Sizeof(*new(T)) // the next power of two for a frame that is a little larger than T
	if !available(2 * size) {
		return room
	}
	top := make(chan uintptr)
	go func() { top <- spread[T](nil) }()
	end := (<-top + pageSize) &^ (pageSize - 1)
	room.from, room.to = start+chunk, end
	if end < start || end-start > size+4*chunk { // the room is not behind what is used
		room.from = end - size
	}
	huge(room.from, room.to)
	return room
}

// spread has a T in its frame, if only for a call that is not made. It returns an address of the frame.
//
//go:noinline
func spread[T any](never func() T) uintptr {
	if never != nil {
		_ = never()
	}
	return uintptr(unsafe.Pointer(&never))
}

// available reports whether the kernel gives that much address space. A limit of the process, or a host that
// promises no more memory than it has, may forbid it: Go's heap would end the program.
func available(size uintptr) bool {
	room, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err == nil {
		err = syscall.Munmap(room)
	}
	return err == nil
}

// Prefer says of which pages the room consists, where nothing uses it: a program with little to do needs a
// small part of a huge one. The first few pages become huge even if they are used, which takes a millisecond each:
// a small heap has used a little of them.
func (room Room) Prefer(hugePages bool) {
	if !hugePages {
		madvise(room.from, room.to, madvSmall)
		return
	}
	madvise(room.from, room.to, madvHugepage)
	few := min(room.to, room.from+8*pageSize)
	for page := room.from; page < few && madvise(page, page+pageSize, madvCollapse); page += pageSize {
	}
}

func huge(from, to uintptr) {
	madvise(from, to, madvHugepage)
	for ; from < to; from += pageSize { // one by one: an unused page ends a collapse
		madvise(from, from+pageSize, madvCollapse)
	}
}

func madvise(from, to, advice uintptr) (ok bool) {
	_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, advice)
	return errno == 0
}
