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
// memory at rising addresses, from a random one between 2 and 30 TiB, and the system
// knows what is resident there. Go's heap may be between 2 and 30 TiB as well, so
// only what is near an object of mimalloc counts.
const (
	mimallocFrom, mimallocTo = 2 << 40, 30 << 40
	mimallocNear             = 64 << 30
)

// anonymous returns how many bytes of this process are resident and backed by no file:
// its data, but not the code of what it has loaded.
func anonymous() int64 { return max(0, bench.ProcBytes("/proc/self/smaps_rollup", "Anonymous:")) }

// smaps reads what is resident from /proc. It keeps its buffer, since one allocated
// each time would become resident too.
type smaps struct{ buf []byte }

// in returns how many bytes are resident in the mappings that begin in [lo, hi).
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
