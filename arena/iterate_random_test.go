package arena_test

import (
	"math/rand/v2"
	"testing"

	"github.com/vita-go/deblockator/arena"
)

// Random programs in the body, on several arenas of one allocator.
func TestAllRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range fewer(300, 30) {
		h := newHerd(t, rng.IntN(300))
		h.values = rng.IntN(2) == 0
		other := newArena[[700]byte](t, h.a.Allocator())
		odds, adds := 1+rng.IntN(10), 1000
		h.walk(func(int, arena.Handle[cell]) bool {
			if rng.IntN(odds) > 0 {
				return true
			}
			for range rng.IntN(6) {
				switch rng.IntN(7) {
				case 0, 1, 2:
					if len(h.live) > 0 {
						h.remove(h.any())
					}
				case 3:
					if adds--; adds > 0 {
						h.add()
					}
				case 4:
					for range rng.IntN(60) {
						if len(h.live) > 0 {
							h.remove(h.any())
						}
					}
				case 5:
					h.a.Allocator().Trim()
				default:
					if rng.IntN(2) == 0 {
						other.Reset()
					} else {
						arena.Must(other.InsertN(make([][700]byte, rng.IntN(9)), nil))
					}
				}
			}
			return true
		})
	}
}

// loops are all ways to visit the objects of an arena.
var loops = []func(a *arena.Arena[uint64], visit func(p *uint64)){
	func(a *arena.Arena[uint64], visit func(p *uint64)) {
		for _, p := range a.All() {
			visit(p)
		}
	},
	func(a *arena.Arena[uint64], visit func(p *uint64)) {
		for p := range a.Values() {
			visit(p)
		}
	},
	func(a *arena.Arena[uint64], visit func(p *uint64)) {
		for run := range a.Chunks() {
			for i := range run {
				visit(&run[i])
			}
		}
	},
}

// A loop that makes objects and frees none may get slots of bitmap words that the scan has
// yet to reach.
