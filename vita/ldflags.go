//go:build vita && cgo && !vitafake

// Where the kernel's calls are to be found when a program for the console is
// linked.

package vita

// #cgo LDFLAGS: -lSceSysmem_stub
import "C"
