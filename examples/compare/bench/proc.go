package bench

import (
	"bytes"
	"os"
	"strconv"
	"sync"
)

// What Linux reports about the memory of this process.

// proc is what ProcBytes keeps: what it allocated each time would become resident too.
var proc struct {
	sync.Mutex
	files map[string]*os.File // which stay open
	text  [8 << 10]byte       // of one; they have a kilobyte or two
}

// ProcBytes returns the bytes in the line of key in a file of /proc, or -1.
func ProcBytes(file, key string) int64 {
	proc.Lock()
	defer proc.Unlock()
	f := proc.files[file]
	if f == nil {
		var err error
		if f, err = os.Open(file); err != nil {
			return -1
		}
		if proc.files == nil {
			proc.files = map[string]*os.File{}
		}
		proc.files[file] = f
	}
	n, err := f.ReadAt(proc.text[:], 0) // which makes the kernel write it anew
	if err == nil {
		return -1 // longer than it should be
	}
	for line := range bytes.Lines(proc.text[:n]) {
		if n, ok := Kilobytes(line, key); ok {
			return n
		}
	}
	return -1
}

// Kilobytes returns the bytes in a line such as "Rss:     1234 kB" if it begins with key,
// colon included. It allocates nothing.
func Kilobytes(line []byte, key string) (n int64, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(key))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
	return n << 10, err == nil
}
