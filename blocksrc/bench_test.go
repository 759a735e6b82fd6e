package blocksrc_test

import (
	"fmt"
	"testing"

	"github.com/vita-go/deblockator/blocksrc"
)

// Acquires a block and releases it, untouched.
func BenchmarkAcquireRelease(b *testing.B) {
	for _, s := range []struct {
		name string
		src  blocksrc.Source
	}{
		{"mmap", blocksrc.Mmap{}},
		{"heap", heap()},
		{"buffer", buffer(4 << 20)},
		{"limit", blocksrc.Limit(buffer(4<<20), 4<<20)},
		{"fallback", blocksrc.Fallback(buffer(0), buffer(4<<20))},
	} {
		if _, ok := s.src.(blocksrc.Mmap); ok && !blocksrc.HaveMmap {
			continue
		}
		src := s.src
		for _, align := range []int{0, 1 << 20} {
			b.Run(fmt.Sprintf("src=%s/size=64KiB/align=%d", s.name, align), func(b *testing.B) {
				for b.Loop() {
					block, err := src.Acquire(64<<10, align)
					if err != nil {
						b.Fatal(err)
					}
					if err := src.Release(block); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Takes and adds the record of a block, among many others.
func BenchmarkLedger(b *testing.B) {
	for _, live := range []int{100, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			mem := make([]byte, live)
			var l blocksrc.Ledger
			for i := range mem {
				l.Add(mem[i:i+1], i)
			}
			at := 0
			for b.Loop() {
				at = (at + 7919) % live
				if _, err := l.Take(mem[at : at+1]); err != nil {
					b.Fatal(err)
				}
				l.Add(mem[at:at+1], at)
			}
		})
	}
}
