package slab_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// Handles of a slab that was full, however its objects went and whatever took their slots.
func TestStaleHandles(t *testing.T) {
	fill := func(t *testing.T) (*slab.Pool, []slab.Handle, slab.Handle) {
		p, hs := filledPool(t, 24, 150)
		_, far, err := p.Insert()
		require.NoError(t, err)
		for _, h := range hs {
			require.NotNil(t, p.Slot(h))
			for _, gen := range []uint32{0, 1, h.Gen() - 1, h.Gen() + 1, h.Gen() + 2, slab.PoolLastGen - 1, slab.PoolLastGen, slab.PoolLastGen + 1} {
				place, slot := h.Index()
				require.Nil(t, p.Slot(slab.RawHandle(place, slot, gen)), "generation %d", gen)
			}
		}
		require.Nil(t, p.Slot(slab.RawHandle(0, uint32(len(hs)), hs[0].Gen())), "behind the last slot")
		return p, hs, far
	}
	stale := func(t *testing.T, p *slab.Pool, hs ...slab.Handle) {
		t.Helper()
		for _, h := range hs {
			require.Nil(t, p.Slot(h))
			require.False(t, p.Remove(h))
		}
		require.NoError(t, p.Allocator().Check())
	}
	for name, free := range map[string]func(p *slab.Pool, h slab.Handle){
		"Remove": func(p *slab.Pool, h slab.Handle) { p.Remove(h) },
		"Free":   func(p *slab.Pool, h slab.Handle) { p.Free(p.Slot(h)) },
		"Remove at the last generation": func(p *slab.Pool, h slab.Handle) {
			p.Remove(p.SetGeneration(h, slab.PoolLastGen))
		},
	} {
		for _, grouped := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " with a group: ", grouped), func(t *testing.T) {
				p, hs, far := fill(t)
				if !grouped {
					for p.AtHand() > 0 {
						_, _, err := p.Insert()
						require.NoError(t, err)
					}
				}
				free(p, hs[7])
				stale(t, p, hs[7])
				for range p.Stats().Free + 1 { // full again, and used up
					_, h, err := p.Insert()
					require.NoError(t, err)
					require.NotNil(t, p.Slot(h))
				}
				stale(t, p, hs[7])
				require.NotNil(t, p.Slot(hs[8]))
				require.NotNil(t, p.Slot(far))
			})
		}
	}
	t.Run("Reset", func(t *testing.T) {
		p, hs, far := fill(t)
		for range 3 {
			p.Reset()
			stale(t, p, append(hs, far)...)
			require.Zero(t, p.Len())
			next := make([]slab.Handle, 0, len(hs))
			for range p.Stats().Free {
				_, h, err := p.Insert()
				require.NoError(t, err)
				if place, _ := h.Index(); place == 0 {
					next = append(next, h)
				}
			}
			require.Len(t, next, len(hs))
			_, far, _ = p.Insert()
			require.Equal(t, hs[0].Gen()+2, next[0].Gen())
			stale(t, p, hs...)
			hs = next
		}
	})
	t.Run("Reset of a slab in part", func(t *testing.T) {
		p, _ := newPool(t, 24, 8, slab.Config{})
		require.NoError(t, slab.ShellOf(p).Room(150))
		n := p.Stats().Free
		var hs []slab.Handle
		for range n / 2 {
			_, h, err := p.Insert()
			require.NoError(t, err)
			hs = append(hs, h)
		}
		p.Reset()
		stale(t, p, hs...)
		for range n + 1 {
			_, _, err := p.Insert()
			require.NoError(t, err)
		}
		stale(t, p, hs...)
	})
	t.Run("the end of generations", func(t *testing.T) {
		p, hs, far := fill(t)
		for i, h := range hs {
			hs[i] = p.SetGeneration(h, slab.PoolLastGen-2)
		}
		p.Reset()
		stale(t, p, append(hs, far)...)
	})
	t.Run("another slab in the place", func(t *testing.T) {
		p, hs, far := fill(t)
		p.Allocator().Reset()
		p.Allocator().Trim()
		stale(t, p, append(hs, far)...)
		old := append(hs, far)
		for range 2 * len(hs) {
			_, h, err := p.Insert()
			require.NoError(t, err)
			require.NotNil(t, p.Slot(h))
		}
		stale(t, p, old...)
	})
}
