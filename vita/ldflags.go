//go:build vita && cgo && !vitafake

// The library that a program for the console is linked with for the kernel's calls.

package vita

// #cgo LDFLAGS: -lSceSysmem_stub
import "C"
