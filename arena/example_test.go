package arena_test

import (
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

type Ship struct {
	Hull   int
	Target arena.Handle[Ship] // not a *Ship: T holds no Go pointers
}

// A handle may outlive what it names: then Get says so.
func Example() {
	var ships arena.Arena[Ship]
	defer ships.Close()

	hunter := arena.Must(ships.Insert(Ship{Hull: 100}))
	prey := arena.Must(ships.Insert(Ship{Hull: 10}))
	h, _ := ships.Get(hunter)
	h.Target = prey

	ships.Remove(prey)
	arena.Must(ships.Insert(Ship{Hull: 50})) // lies where the prey was

	_, alive := ships.Get(h.Target)
	fmt.Println("target alive:", alive)
	fmt.Println("ships:", ships.Len())
	// Output:
	// target alive: false
	// ships: 2
}

// Pointers for those who know when an object dies, handles for all others, over
// the same objects.
func ExampleArena() {
	ships, err := arena.New[Ship](nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ships.Close()

	p, err := ships.Alloc() // zeroed
	if err != nil {
		fmt.Println(err)
		return
	}
	p.Hull = 70
	h := ships.Handle(p)
	ships.Free(p)

	_, ok := ships.Get(h)
	fmt.Println(ok)
	// Output: false
}

// A type that holds a Go pointer is refused when the arena is made.
func ExampleNew() {
	type Pilot struct {
		Name  string
		Score int
	}
	_, err := arena.New[Pilot](nil)
	fmt.Println(err)

	var refused *typed.PointerError
	fmt.Println(errors.As(err, &refused))
	// Output:
	// typed: Pilot cannot live outside the Go heap: Pilot.Name is string
	// true
}

// Arenas on one allocator share its budget: here 256 KiB for everything.
func ExampleNew_budget() {
	type (
		Shot  struct{ X, Y, VX, VY float32 }
		Track struct{ Points [500]float32 }
	)
	memory, err := slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 256<<10)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer memory.Close()
	shots := arena.Must(arena.New[Shot](memory))
	tracks := arena.Must(arena.New[Track](memory))

	for err == nil {
		_, err = tracks.Alloc()
	}
	fmt.Println("full:", errors.Is(err, blocksrc.ErrExhausted))
	fmt.Println("reserve:", shots.Reserve(10_000) == nil)

	tracks.Reset()
	memory.Trim() // what tracks had is anyone's
	fmt.Println("reserve:", shots.Reserve(10_000) == nil)
	// Output:
	// full: true
	// reserve: false
	// reserve: true
}

// A cache within a budget: a new page takes the place of the one that was used longest
// ago, once there is no memory for another.
func ExampleNew_cache() {
	type Page struct {
		Key          uint64
		Newer, Older arena.Handle[Page]
		Text         [4000]byte
	}
	memory := arena.Must(slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 1<<20)}))
	defer memory.Close()
	pages := arena.Must(arena.New[Page](memory))
	byKey := map[uint64]arena.Handle[Page]{}
	var newest, oldest arena.Handle[Page]

	unlink := func(p *Page) {
		if n, ok := pages.Get(p.Newer); ok {
			n.Older = p.Older
		} else {
			newest = p.Older
		}
		if o, ok := pages.Get(p.Older); ok {
			o.Newer = p.Newer
		} else {
			oldest = p.Newer
		}
	}
	link := func(h arena.Handle[Page], p *Page) {
		p.Newer, p.Older = arena.Handle[Page]{}, newest
		if n, ok := pages.Get(newest); ok {
			n.Newer = h
		} else {
			oldest = h
		}
		newest = h
	}
	made := 0
	get := func(key uint64) *Page {
		h := byKey[key] // names nothing if there is none
		p, ok := pages.Get(h)
		if ok {
			unlink(p)
		} else {
			var err error
			for p, h, err = pages.AllocHandle(); errors.Is(err, slab.ErrExhausted) && pages.Len() > 0; p, h, err = pages.AllocHandle() {
				last, _ := pages.Get(oldest)
				delete(byKey, last.Key)
				gone := oldest
				unlink(last)
				pages.Remove(gone)
			}
			if err != nil {
				panic(err) // there is no room for one page
			}
			p.Key, byKey[key] = key, h
			made++
		}
		link(h, p)
		return p
	}

	for i := range uint64(10_000) {
		get(i % 1000)
		get(7) // is always among the newest
	}
	fmt.Println("all pages are found:", len(byKey) == pages.Len())
	fmt.Println("in use:", memory.Stats().Held <= 1<<20 && pages.Len() > 200)
	fmt.Println("made:", made)
	// Output:
	// all pages are found: true
	// in use: true
	// made: 9991
}

// The loop may remove the object at hand, or any other.
func ExampleArena_All() {
	var ships arena.Arena[Ship]
	defer ships.Close()
	for i := range 6 {
		arena.Must(ships.Insert(Ship{Hull: i * 10}))
	}

	for h, ship := range ships.All() {
		ship.Hull -= 25
		if ship.Hull <= 0 {
			ships.Remove(h)
		}
	}

	for _, ship := range ships.All() {
		fmt.Println(ship.Hull)
	}
	// Output:
	// 5
	// 15
	// 25
}

// Chunks shows the same objects as slices, for the tightest loops.
func ExampleArena_Chunks() {
	var speeds arena.Arena[float32]
	defer speeds.Close()
	arena.Must(speeds.InsertN([]float32{1, 2, 3, 4, 5}, nil))

	var sum float32
	for run := range speeds.Chunks() {
		for i := range run {
			run[i] *= 2
			sum += run[i]
		}
	}
	fmt.Println(sum)
	// Output: 30
}

// What a frame needs is made in a region and freed in one go.
func ExampleRegion() {
	scratch, err := arena.NewRegion(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer scratch.Close()

	for frame := range 3 {
		distances := arena.Must(arena.MakeSlice[float64](scratch, 1000))
		nearest := arena.Must(arena.Make[struct{ Ship, Distance int }](scratch))
		distances[frame] = 1
		nearest.Ship = frame
		scratch.Reset()
	}
	fmt.Println(scratch.Held() < 16<<10)
	// Output: true
}

// A function gives back what it made and leaves its caller's values alone.
func ExampleRegion_Rewind() {
	scratch := arena.Must(arena.NewRegion(nil))
	defer scratch.Close()

	sum := arena.Must(arena.Make[int](scratch))
	for n := range 4 {
		mark := scratch.Mark()
		for i := range arena.Must(arena.MakeSlice[int](scratch, n)) {
			*sum += i
		}
		scratch.Rewind(mark)
	}
	fmt.Println(*sum)
	// Output: 4
}

// Handles are numbers, for where a Handle cannot be.
func ExampleHandleFromBits() {
	var ships arena.Arena[Ship]
	defer ships.Close()

	h := arena.Must(ships.Insert(Ship{Hull: 100}))
	saved := h.Bits() // a uint64

	ship, ok := ships.Get(arena.HandleFromBits[Ship](saved))
	fmt.Println(ship.Hull, ok)
	_, ok = ships.Get(arena.HandleFromBits[Ship](12345))
	fmt.Println(ok)
	// Output:
	// 100 true
	// false
}
