//go:build (aix || darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows) && !tinygo && !vita

package blocksrc

// SetUnmap puts f in front of the system's unmapping until restore is called.
func SetUnmap(f func(whole []byte, system func([]byte) error) error) (restore func()) {
	system := sysUnmap
	sysUnmap = func(whole []byte) error { return f(whole, system) }
	return func() { sysUnmap = system }
}
