package bench

import (
	"bytes"
	"os"
	"strconv"
)

// What Linux reports about the memory of this process.

// ProcBytes returns the bytes in the line of key in a file of /proc, or -1.
func ProcBytes(file, key string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return -1
	}
	for line := range bytes.Lines(text) {
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
