package arena_test

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/typed"
)

type Ship struct {
	Hull   int
	Target arena.Handle[Ship] // not a *Ship: T holds no Go pointers
}

// A handle may outlive the object that it names. Get then returns false.
func Example() {
	var ships arena.Arena[Ship]
	defer ships.Close()

	hunter := arena.Must(ships.Insert(Ship{Hull: 100}))
	prey := arena.Must(ships.Insert(Ship{Hull: 10}))
	h, _ := ships.Get(hunter)
	h.Target = prey

	ships.Remove(prey)
	arena.Must(ships.Insert(Ship{Hull: 50})) // takes the slot of the prey

	_, alive := ships.Get(h.Target)
	fmt.Println("target alive:", alive)
	fmt.Println("ships:", ships.Len())
	// Output:
	// target alive: false
	// ships: 2
}

// Code that knows when an object dies uses a pointer, all other code a handle. Both refer to
// the same object.
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
	memory.Trim() // any arena may now have what tracks had
	fmt.Println("reserve:", shots.Reserve(10_000) == nil)
	// Output:
	// full: true
	// reserve: false
	// reserve: true
}

// A cache within a budget: once there is no memory for another page, a new page replaces the
// least recently used one.
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
		h := byKey[key] // the zero Handle if there is none, which names nothing
		p, ok := pages.Get(h)
		if ok {
			unlink(p)
		} else {
			var err error
			for p, h, err = pages.AllocHandle(); errors.Is(err, slab.ErrExhausted) && !blocksrc.Never(err) && pages.Len() > 0; p, h, err = pages.AllocHandle() {
				last, _ := pages.Get(oldest)
				delete(byKey, last.Key)
				gone := oldest
				unlink(last)
				pages.Remove(gone)
			}
			if err != nil {
				panic(err) // there is no room even for one page
			}
			p.Key, byKey[key] = key, h
			made++
		}
		link(h, p)
		return p
	}

	for i := range uint64(10_000) {
		get(i % 1000)
		get(7) // always among the newest, so it is never replaced
	}
	fmt.Println("all pages are found:", len(byKey) == pages.Len())
	fmt.Println("in use:", memory.Stats().Held <= 1<<20 && pages.Len() > 200)
	fmt.Println("made:", made)
	// Output:
	// all pages are found: true
	// in use: true
	// made: 9991
}

// The loop may remove the current object, or any other.
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

// A frame makes what it needs in a region, and Reset frees all of it at once.
func ExampleRegion() {
	type Nearest struct {
		Ship     int
		Distance float64
	}
	scratch, err := arena.NewRegion(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer scratch.Close()

	for frame := range 3 {
		distances := arena.Must(arena.MakeSlice[float64](scratch, 4))
		nearest := arena.Must(arena.Make[Nearest](scratch))
		nearest.Distance = 1000
		for i := range distances {
			distances[i] = float64((i+frame)%4*10 + 5)
			if distances[i] < nearest.Distance {
				*nearest = Nearest{i, distances[i]}
			}
		}
		fmt.Println(*nearest)
		scratch.Reset() // distances and nearest must not be used any more
	}
	// Output:
	// {0 5}
	// {3 5}
	// {2 5}
}

// A server's records, within a budget. Room for them is reserved beforehand. They are inserted
// in batches, so that they are never all on Go's heap at once, and the index to them holds no
// pointers.
func Example_records() {
	type Record struct {
		Key   uint64
		Score float64
	}
	memory := arena.Must(slab.New(slab.Config{Name: "records", Source: blocksrc.Limit(blocksrc.Default(), 64<<20)}))
	defer memory.Close()
	records := arena.Must(arena.New[Record](memory))

	const n = 100_000
	if err := records.Reserve(n); err != nil {
		fmt.Println(err)
		return
	}
	byKey := make(map[uint64]arena.Handle[Record], n) // no pointers: the collector skips it
	var batch [512]Record
	var names []arena.Handle[Record]
	for first := 0; first < n; first += len(batch) {
		part := batch[:min(len(batch), n-first)]
		for i := range part {
			part[i] = Record{Key: uint64(first+i) * 7, Score: float64(first + i)}
		}
		var err error
		if names, err = records.InsertN(part, names[:0]); err != nil {
			fmt.Println(err)
			return
		}
		for i, h := range names { // in the order of part
			byKey[part[i].Key] = h
		}
	}
	r, ok := records.Get(byKey[7*4321])
	fmt.Println(r.Score, ok, records.Len())
	// Output: 4321 true 100000
}

// A game's particles. Room for them is reserved while a level loads, so that no frame can
// fail. They are used by pointer only, and need no handles.
func Example_particles() {
	type Particle struct {
		X, VX float32
		Life  int32
	}
	var particles arena.Arena[Particle]
	defer particles.Close()
	if err := particles.Reserve(1000); err != nil {
		fmt.Println(err)
		return
	}
	for frame := range 60 {
		for i := range 10 {
			p := arena.Must(particles.AllocUninitialized())
			*p = Particle{VX: float32(i), Life: 30}
		}
		for p := range particles.Values() {
			p.X += p.VX
			if p.Life--; p.Life == 0 {
				particles.Free(p) // legal while iterating
			}
		}
		if frame == 59 {
			fmt.Println(particles.Len())
		}
	}
	// Output: 290
}

// Concurrent readers and one writer. There is one lock for each allocator, not for each arena,
// and everything but Get and Len needs its write lock.
func ExampleArena_Get() {
	var (
		lock  sync.RWMutex
		ships arena.Arena[Ship]
		wait  sync.WaitGroup
	)
	defer ships.Close()
	h := arena.Must(ships.Insert(Ship{Hull: 100}))

	hull := func() (int, bool) {
		lock.RLock()
		defer lock.RUnlock()
		ship, ok := ships.Get(h)
		if !ok {
			return 0, false
		}
		return ship.Hull, true
	}
	for range 4 {
		wait.Go(func() { hull() })
	}
	wait.Wait()
	fmt.Println(hull())

	lock.Lock()
	ships.Remove(h)
	lock.Unlock()
	fmt.Println(hull())
	// Output:
	// 100 true
	// 0 false
}

// A function frees what it made and leaves its caller's values alone.
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

// A handle can be stored as a number where a Handle cannot be.
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
