package arena_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/blocksrc/blocksrctest"
	"github.com/vita-go/deblockator/slab"
)

// A tape is a program: each byte says what to do next, or with what.
type tape struct {
	rest []byte
}

func (s *tape) over() bool { return len(s.rest) == 0 }

// next returns the next byte, or 0 when the tape is over.
func (s *tape) next() byte {
	if s.over() {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// below returns a number below n.
func (s *tape) below(n int) int {
	if n <= 1 {
		return 0
	}
	k := int(s.next())
	if n > 256 {
		k = k<<8 | int(s.next())
	}
	return k % n
}

func (s *tape) uint64() (v uint64) {
	for range 8 {
		v = v<<8 | uint64(s.next())
	}
	return v
}

// addTapes gives a fuzzer something to start from.
func addTapes(f *testing.F) {
	rng := rand.New(rand.NewPCG(11, 12))
	for i := range fewer(60, 24) {
		b := make([]byte, 50<<(i%6))
		for k := range b {
			b[k] = byte(rng.Uint32())
		}
		b[0] = byte(i)
		f.Add(b)
	}
}

// fuzzMemory holds the buffers of the tapes. Only one tape runs at a time.
var fuzzMemory = make([]byte, 2<<20)

// ground is an allocator over a source that can be made to fail.
type ground struct {
	t     testing.TB
	tape  tape
	al    *slab.Allocator
	src   *flaky
	count *blocksrctest.Counting
	raw   [][]byte // other memory of the allocator
}

func newGround(t testing.TB, b []byte) *ground {
	g := &ground{t: t, tape: tape{b[:min(len(b), 4096)]}}
	mode := g.tape.next()
	var src blocksrc.Source
	if mode&1 == 0 {
		fill(fuzzMemory, 0xA5)
		src = blocksrc.NewBuffer(fuzzMemory[mode>>4:])
	} else {
		src = blocksrc.Limit(plain(), len(fuzzMemory))
	}
	g.count = &blocksrctest.Counting{Source: src}
	g.src = &flaky{Source: g.count}
	cfg := slab.Config{Source: g.src, Retain: int(mode>>1&3)*100_000 - 100_000}
	if mode&8 != 0 {
		cfg.BlockSize, cfg.MaxBlockSize = 4<<10, 128<<10
	}
	var err error
	if g.al, err = slab.New(cfg); err != nil {
		t.Fatal(err)
	}
	return g
}

// refused tells whether err says that there was no memory. Any other error ends the test.
func (g *ground) refused(err error) bool {
	g.t.Helper()
	if err != nil && !errors.Is(err, blocksrc.ErrExhausted) {
		g.t.Fatalf("refused: %v", err)
	}
	return err != nil
}

// toggle makes or frees memory beside the arenas.
func (g *ground) toggle() {
	if k := g.tape.below(6); k < len(g.raw) {
		g.al.Free(g.raw[k])
		g.raw = slices.Delete(g.raw, k, k+1)
		return
	}
	b, err := g.al.AllocUninitialized(1+g.tape.below(40_000), 8)
	if !g.refused(err) {
		fill(b, 0xEE)
		g.raw = append(g.raw, b)
	}
}

// arm makes the source fail soon, always or not any more.
func (g *ground) arm() {
	k := g.tape.next()
	g.src.acquires, g.src.releases = int(k&3), int(k>>2&3)
	if k&16 != 0 {
		g.src.acquires = -1
	}
	if k&32 != 0 {
		g.src.releases = -1
	}
}

func (g *ground) disarm() { g.src.acquires, g.src.releases = 0, 0 }

func (g *ground) check() {
	g.t.Helper()
	for _, b := range g.raw {
		if !allBytes(b, 0xEE) {
			g.t.Fatal("memory beside the arenas was overwritten")
		}
	}
	if err := g.al.Check(); err != nil {
		g.t.Fatal(err)
	}
}

// end asserts that with nothing live every block is one hole, and goes back.
func (g *ground) end() {
	g.t.Helper()
	g.disarm()
	for _, b := range g.raw {
		g.al.Free(b)
	}
	g.raw = nil
	if live := g.al.Stats().Live; live != 0 {
		g.t.Fatalf("%d bytes are live", live)
	}
	g.src.releases = -1
	g.al.Trim()
	for b := range g.al.Blocks() {
		chunks := 0
		for c := range b.Chunks() {
			if chunks++; chunks > 1 || c.Kind != slab.ChunkHole {
				g.t.Fatalf("a block of %d bytes has a %s of %d at %d after everything was freed", b.Size, c.Kind, c.Size, c.Offset)
			}
		}
	}
	g.disarm()
	g.al.Trim()
	if held := g.al.Stats().Held; held != 0 {
		g.t.Fatalf("%d bytes are held", held)
	}
	g.check()
	if err := g.al.Close(); err != nil {
		g.t.Fatal(err)
	}
	if err := errors.Join(g.count.Leaks(), g.count.Misuse()); err != nil {
		g.t.Fatal(err)
	}
}

// refuses returns the misuse that f panics with, or 0, and asserts that nothing has changed.
func (g *ground) refuses(f func()) (kind slab.Misuse) {
	before := g.al.Stats()
	defer func() {
		if err, ok := recover().(*slab.MisuseError); ok {
			kind = err.Misuse
		}
		if g.al.Stats() != before {
			g.t.Fatalf("misuse %v changed\n%+v to\n%+v", kind, before, g.al.Stats())
		}
	}()
	f()
	return 0
}

// FuzzArena plays a tape on two arenas of one allocator and compares them with their models.
func FuzzArena(f *testing.F) {
	addTapes(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newGround(t, b)
		a := newSides[g.tape.below(len(newSides))](g)
		b2 := newSides[g.tape.below(len(newSides))](g)
		for n := 0; !g.tape.over(); n++ {
			op := g.tape.next()
			if op < 128 {
				a.do(op, b2)
			} else {
				b2.do(op, a)
			}
			if n%16 == 0 {
				a.check()
				b2.check()
				g.check()
			}
		}
		g.disarm()
		a.finish()
		b2.finish()
		g.end()
	})
}

// FuzzRegion plays a tape on a region, with good and bad marks.
func FuzzRegion(f *testing.F) {
	addTapes(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newGround(t, b)
		r, err := arena.NewRegion(g.al)
		if err != nil {
			t.Fatal(err)
		}
		other, err := arena.NewRegion(g.al)
		if err != nil {
			t.Fatal(err)
		}
		s := &scribe{t: t, r: r}
		type mark struct {
			m    arena.Mark
			n    int  // the number of values at that time
			size int  // their bytes
			low  int  // how many of them have stayed all along
			past bool // no rewind went below it
			gone bool // one did, by more than values of no size
		}
		var marks []mark
		// back notes that all but n values are gone.
		back := func(n int) {
			s.made = s.made[:n]
			size := s.size()
			for i := range marks {
				m := &marks[i]
				m.past = m.past && m.n <= n
				m.gone = m.gone || m.size > size
				m.low = min(m.low, n)
			}
		}
		for n := 0; !g.tape.over(); n++ {
			switch op := g.tape.next(); op % 32 {
			case 0, 1, 2:
				marks = append(marks, mark{s.r.Mark(), len(s.made), s.size(), len(s.made), true, false})
			case 3, 4, 5:
				if len(marks) == 0 {
					break
				}
				m := marks[g.tape.below(len(marks))]
				if m.past {
					s.r.Rewind(m.m)
					back(m.n)
					break
				}
				now := s.r.Mark()
				switch kind := g.refuses(func() { s.r.Rewind(m.m) }); kind {
				case slab.BadMark:
					if s.r.Mark() != now {
						t.Fatal("a bad mark moved the region")
					}
				case 0:
					if m.gone {
						t.Fatal("a mark of a time that was rewound was accepted")
					}
					back(m.low)
				default:
					t.Fatal(kind)
				}
			case 6:
				if g.refuses(func() { s.r.Rewind(other.Mark()) }) != slab.BadMark {
					t.Fatal("the mark of another region was accepted")
				}
			case 7:
				if op >= 128 {
					s.r.Reset()
					back(0)
				}
			case 8:
				if op >= 192 {
					g.al.Reset()
					g.raw, s.made, marks = nil, nil, nil
				}
			case 9:
				if op >= 192 {
					if err := s.r.Close(); err != nil {
						t.Fatal(err)
					}
					if s.r, err = arena.NewRegion(g.al); err != nil {
						t.Fatal(err)
					}
					s.made, marks = nil, nil
				}
			case 10:
				g.al.Trim()
			case 11:
				g.toggle()
			case 12:
				g.arm()
			case 13:
				g.disarm()
			case 14:
				_, err := arena.MakeSlice[uint16](other, g.tape.below(5000))
				g.refused(err)
			default:
				n := g.tape.below(40) - 20
				if g.tape.next() > 240 {
					n = g.tape.below(30_000)
				}
				kind := g.tape.below(len(kinds))
				if kind >= 8 { // the large ones
					n = min(n, 60)
				}
				held := s.r.Held()
				if g.refused(kinds[kind](s, n)) && s.r.Held() > held {
					t.Fatalf("%d bytes are held, and %d after an error", held, s.r.Held())
				}
			}
			if n%16 == 0 {
				s.verify()
				g.check()
			}
		}
		g.disarm()
		s.verify()
		if s.r.Close() != nil || other.Close() != nil {
			t.Fatal("not closed")
		}
		g.end()
	})
}
