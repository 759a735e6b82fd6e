package slab_test

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/slab"
)

// level has a pool as a part, as programs do that keep levels in a slice. When the slice grows,
// go vet sees no copy.
type level struct{ pool slab.Pool }

func (l *level) open(t *testing.T) {
	a := onGoHeap(t, slab.Config{Name: "shared"})
	a.PauseChecks() // they see the wrong books of a copy too
	require.NoError(t, l.pool.Init(a, 24, 8))
}

// TestMovedPool: a pool that was moved after its first use says so before it goes on.
func TestMovedPool(t *testing.T) {
	for name, use := range map[string]func(p *slab.Pool, live []unsafe.Pointer, hs []slab.Handle){
		"Alloc": func(p *slab.Pool, _ []unsafe.Pointer, _ []slab.Handle) {
			for range 65 {
				_, _ = p.Alloc()
			}
		},
		"Insert": func(p *slab.Pool, _ []unsafe.Pointer, _ []slab.Handle) {
			for range 65 {
				_, _, _ = p.Insert()
			}
		},
		"Free": func(p *slab.Pool, live []unsafe.Pointer, _ []slab.Handle) {
			for _, q := range live {
				p.Free(q)
			}
		},
		"Reserve": func(p *slab.Pool, _ []unsafe.Pointer, _ []slab.Handle) { _ = p.Reserve(1) },
		"Reset":   func(p *slab.Pool, _ []unsafe.Pointer, _ []slab.Handle) { p.Reset() },
		"Close":   func(p *slab.Pool, _ []unsafe.Pointer, _ []slab.Handle) { _ = p.Close() },
		"Remove": func(p *slab.Pool, _ []unsafe.Pointer, hs []slab.Handle) {
			for _, h := range hs {
				p.Remove(h)
			}
		},
	} {
		ls := make([]level, 1)
		ls[0].open(t)
		live := takeSlots(t, &ls[0].pool, 200)
		ls[0].pool.Free(live[199]) // so that there is a group
		live = live[:199]
		var hs []slab.Handle
		for _, q := range live {
			hs = append(hs, ls[0].pool.Handle(q))
		}
		ls = append(ls, level{})
		e := caught(t, func() { use(&ls[0].pool, live, hs) })
		require.NotNil(t, e, name)
		require.Equal(t, slab.Moved, e.Misuse, name)
		require.EqualError(t, e, "slab: Pool (allocator shared): copied, or moved by a copy, after its first use")
	}
}

// TestMovedPoolWithGaps: where slabs have free slots, a free sets a bit and no more. A moved pool
// says so all the same: before it frees a slot, or before it frees a second one if the first is to
// be handed out next. The original has nothing less.
func TestMovedPoolWithGaps(t *testing.T) {
	for _, how := range []struct{ group, names, remove bool }{
		{}, {group: true}, {names: true}, {group: true, names: true}, {names: true, remove: true}, {group: true, names: true, remove: true},
	} {
		ls := make([]level, 1)
		ls[0].open(t)
		first := &ls[0].pool
		var live []unsafe.Pointer
		var handles []slab.Handle
		for i, q := range takeSlots(t, first, 2000) {
			if i%5 == 0 {
				first.Free(q) // the first of them becomes the group
				continue
			}
			live = append(live, q)
			if how.names {
				handles = append(handles, first.Handle(q))
			}
		}
		if !how.group {
			live = append(live, takeSlots(t, first, 1)...)
		}
		ls = append(ls, level{})
		freed := -1
		e := caught(t, func() {
			for i := range 100 {
				freed++
				if how.remove {
					ls[0].pool.Remove(handles[i*11])
				} else {
					ls[0].pool.Free(live[i*11])
				}
			}
		})
		require.NotNil(t, e, "%+v", how)
		require.Equal(t, slab.Moved, e.Misuse, "%+v", how)
		require.LessOrEqual(t, freed, map[bool]int{false: 1}[how.group], "%+v", how)
		require.NoError(t, first.Allocator().Check(), "%+v", how)
		require.Equal(t, len(live), first.Len(), "%+v", how)
		if !how.remove {
			for _, q := range live {
				first.Free(q)
			}
		}
		require.NoError(t, first.Close())
	}
}

// TestMovedBeforeUse: a pool may be moved before Init.
func TestMovedBeforeUse(t *testing.T) {
	ls := make([]level, 1)
	_, err := ls[0].pool.Alloc()
	require.ErrorIs(t, err, slab.ErrInvalid)
	ls = append(ls, level{})
	ls[0].open(t)
	_, err = ls[0].pool.Alloc()
	require.NoError(t, err)
	require.NoError(t, ls[0].pool.Close())
}
