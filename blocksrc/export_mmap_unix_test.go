//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris) && !tinygo && !vita

package blocksrc

// MapError turns a system's refusal to map into an error of this package.
var MapError = mapError
