//go:build slabcheck

package slab_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// TestFreedIsPoisoned: however memory is freed, it is filled, so a later read notices.
func TestFreedIsPoisoned(t *testing.T) {
	for name, free := range map[string]func(a *slab.Allocator, p *slab.Pool, b []byte, q unsafe.Pointer){
		"one by one": func(a *slab.Allocator, p *slab.Pool, b []byte, q unsafe.Pointer) { a.Free(b); p.Free(q) },
		"handle": func(a *slab.Allocator, p *slab.Pool, b []byte, q unsafe.Pointer) {
			a.Free(b)
			require.True(t, p.Remove(p.Handle(q)))
		},
		"last generation": func(a *slab.Allocator, p *slab.Pool, b []byte, q unsafe.Pointer) {
			a.Free(b)
			p.SetGeneration(p.Handle(q), slab.PoolLastGen)
			p.Free(q)
		},
		"pool, Reset": func(a *slab.Allocator, p *slab.Pool, b []byte, _ unsafe.Pointer) { a.Free(b); p.Reset() },
		"Close": func(a *slab.Allocator, p *slab.Pool, b []byte, _ unsafe.Pointer) {
			a.Free(b)
			require.NoError(t, p.Close())
		},
		"Reset": func(a *slab.Allocator, _ *slab.Pool, _ []byte, _ unsafe.Pointer) { a.Reset() },
		"Realloc": func(a *slab.Allocator, p *slab.Pool, b []byte, q unsafe.Pointer) {
			p.Free(q)
			_, err := a.Realloc(b, 1)
			require.NoError(t, err)
		},
		"cut": func(a *slab.Allocator, p *slab.Pool, b []byte, q unsafe.Pointer) {
			p.Free(q)
			_, err := a.Realloc(b, len(b)-len(b)/8)
			require.NoError(t, err)
		},
	} {
		for _, size := range []int{100, 1000, 5000, 60_000} {
			a := onGoHeap(t, slab.Config{BlockSize: 1 << 20})
			p, err := slab.NewPool(a, 24, 8)
			require.NoError(t, err)
			stays := [2][]byte{granted(t, a, size, 1)}
			b := granted(t, a, size, 1)
			stays[1] = granted(t, a, size, 1)
			_, err = p.Alloc()
			require.NoError(t, err)
			q, err := p.Alloc()
			require.NoError(t, err)
			slot := unsafe.Slice((*byte)(q), 24)
			for i := range b {
				b[i] = 1
			}
			for i := range slot {
				slot[i] = 1
			}
			free(a, p, b, q)
			for i, v := range slot {
				require.Equal(t, byte(0xDF), v, "%s: byte %d of the slot", name, i)
			}
			from := 0
			if name == "cut" {
				if from = (size - size/8 + 15) &^ 15; size <= 1024 {
					continue // a slot cannot be cut
				}
			} else if name == "Realloc" && size <= 1024 {
				continue // nor must it move
			}
			for i, v := range b[from:] {
				require.Equal(t, byte(0xDF), v, "%s: byte %d of %d", name, from+i, size)
			}
		}
	}
}
