package main

import (
	"math/bits"
	"time"
)

// latencies is a histogram of how long something took. Its size is fixed: a list of all
// times would be part of the heap whose collector is measured. Times that share a bucket
// differ by less than a sixteenth.
type latencies struct {
	count [64 << 4]uint32
	most  time.Duration
}

// add counts d, which is not negative.
func (l *latencies) add(d time.Duration) {
	l.count[bucket(uint64(d))]++
	l.most = max(l.most, d)
}

// exceeded returns a time that at most n of the counted times exceed, exact to a sixteenth.
func (l *latencies) exceeded(n int) time.Duration {
	for b := len(l.count) - 1; b >= 0; b-- {
		if n -= int(l.count[b]); n < 0 {
			return min(time.Duration(upTo(b)), l.most)
		}
	}
	return 0
}

// bucket is n up to 16; from there on each doubling has 16 buckets.
func bucket(n uint64) int {
	if n < 16 {
		return int(n)
	}
	shift := bits.Len64(n) - 5
	return (shift+1)<<4 | int(n>>shift)&15
}

// upTo is the largest number in a bucket.
func upTo(bucket int) uint64 {
	if bucket < 16 {
		return uint64(bucket)
	}
	shift := bucket>>4 - 1
	return uint64(bucket&15|16)<<shift | (1<<shift - 1)
}
