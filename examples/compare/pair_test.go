package compare

import (
	"fmt"
	"testing"
	"unsafe"

	"modernc.org/memory"

	"github.com/vita-go/deblockator/arena"
)

// object has 64 bytes.
type object struct {
	id   uint64
	data [7]uint64
}

// BenchmarkPair frees a random one of the live objects, makes another, all zero,
// and writes to it.
func BenchmarkPair(b *testing.B) {
	for _, live := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("impl=arena/live=%d", live), func(b *testing.B) {
			var a arena.Arena[object]
			defer a.Close()
			at := make([]*object, live)
			for k := range at {
				at[k] = arena.Must(a.Alloc())
			}
			r := random(1)
			b.ResetTimer()
			for range b.N {
				k := r.below(live)
				a.Free(at[k])
				p, err := a.Alloc()
				if err != nil {
					b.Fatal(err)
				}
				p.id = uint64(k)
				at[k] = p
			}
		})
		b.Run(fmt.Sprintf("impl=modernc/live=%d", live), func(b *testing.B) {
			var a memory.Allocator
			defer a.Close()
			at := make([]*object, live)
			alloc := func() (*object, error) {
				p, err := a.UnsafeCalloc(int(unsafe.Sizeof(object{})))
				return (*object)(p), err
			}
			for k := range at {
				at[k] = arena.Must(alloc())
			}
			r := random(1)
			b.ResetTimer()
			for range b.N {
				k := r.below(live)
				if err := a.UnsafeFree(unsafe.Pointer(at[k])); err != nil {
					b.Fatal(err)
				}
				p, err := alloc()
				if err != nil {
					b.Fatal(err)
				}
				p.id = uint64(k)
				at[k] = p
			}
		})
	}
}

// random is xorshift64: fast, so that it is not what is measured.
type random uint64

func (r *random) below(n int) int {
	x := uint64(*r)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*r = random(x)
	return int(uint64(uint32(x>>32)) * uint64(n) >> 32)
}
