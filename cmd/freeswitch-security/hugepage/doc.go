// Package hugepage has the heap consist of huge pages, where the kernel has some. The first use of a page
// costs a fault: on a virtual machine up to 20 µs, and a short verb uses thousands of small pages.
//
// The package imports syscall alone, so that it is initialised before the packages that allocate.
//
// Invariant: it changes how long the program takes, and nothing else. Errors of the kernel are ignored.
package hugepage
