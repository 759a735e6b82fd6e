//go:build cgo && linux

package candidate

import (
	"bufio"
	"bytes"
	"os"
	"strconv"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// mimalloc does not say what it holds: what it calls committed counts segments of
// 32 MiB, of which few pages have ever been touched. But it asks the system for
// memory at rising addresses, from one at random between 2 and 30 TiB, and what is
// resident there the system knows. Go's heap may be between 2 and 30 TiB as well,
// so only what is near to an object of mimalloc counts.
const (
	mimallocFrom, mimallocTo = 2 << 40, 30 << 40
	mimallocNear             = 64 << 30
)

// anonymous returns how many bytes of this process are in physical memory and in no
// file: its data, but not the code of what it has loaded.
func anonymous() int64 { return max(0, bench.ProcBytes("/proc/self/smaps_rollup", "Anonymous:")) }

// smaps reads what is resident from /proc, with a buffer that it keeps: what it
// allocated would be resident too.
type smaps struct{ buf []byte }

// in returns how many bytes of the mappings that begin from lo to hi are in
// physical memory.
func (s *smaps) in(lo, hi uint64) int64 {
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	if s.buf == nil {
		s.buf = make([]byte, 8<<10)
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(s.buf, len(s.buf))
	sum, in := int64(0), false
	for lines.Scan() {
		word, _, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		if from, _, ok := bytes.Cut(word, []byte("-")); ok { // 20000000000-20002000000 rw-p …
			if at, err := strconv.ParseUint(string(from), 16, 64); err == nil {
				in = lo <= at && at < hi
			}
		} else if in {
			n, _ := bench.Kilobytes(lines.Bytes(), "Rss:")
			sum += n
		}
	}
	return sum
}
