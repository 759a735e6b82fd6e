package arena_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/slab"
)

// TestMovedArena: an arena in a slice that has grown since its first use says so, and does not
// hand out or give back what it no longer knows to be its own.
func TestMovedArena(t *testing.T) {
	type shot struct{ x, y int32 }
	type world struct{ shots arena.Arena[shot] }
	for name, use := range map[string]func(a *arena.Arena[shot]){
		"Alloc":   func(a *arena.Arena[shot]) { _, _ = a.Alloc() },
		"Insert":  func(a *arena.Arena[shot]) { _, _ = a.Insert(shot{}) },
		"InsertN": func(a *arena.Arena[shot]) { _, _ = a.InsertN(make([]shot, 1), nil) },
		"Reserve": func(a *arena.Arena[shot]) { _ = a.Reserve(1) },
		"All": func(a *arena.Arena[shot]) {
			for range a.All() {
				break
			}
		},
		"Values": func(a *arena.Arena[shot]) {
			for range a.Values() {
				break
			}
		},
		"Chunks": func(a *arena.Arena[shot]) {
			for range a.Chunks() {
				break
			}
		},
		"Trim":  func(a *arena.Arena[shot]) { a.Trim() },
		"Reset": func(a *arena.Arena[shot]) { a.Reset() },
		"Close": func(a *arena.Arena[shot]) { _ = a.Close() },
	} {
		ws := make([]world, 1)
		first := &ws[0].shots
		for range 64 { // all that is at hand
			arena.Must(first.Alloc())
		}
		ws = append(ws, world{})
		misused(t, first.Allocator(), slab.Moved, func() { use(&ws[0].shots) })
		require.NoError(t, first.Close(), name)
	}
}
