//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris) && !tinygo && !vita

package blocksrc

// MapError is what a system's refusal to map is told as.
var MapError = mapError
