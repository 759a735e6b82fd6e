package slab_test

import (
	"unsafe"

	"github.com/vita-go/deblockator/slab"
)

// The model's wrong frees.

// misuse runs f, which must panic with the wanted misuse and change nothing.
func (m *model) misuse(want slab.Misuse, what string, f func()) {
	before := m.a.Stats()
	got := func() (got any) {
		defer func() { got = recover() }()
		f()
		return nil
	}()
	e, ok := got.(*slab.MisuseError)
	if !ok {
		m.fatalf("%s: panic with %v, should be %v", what, got, want)
	}
	if e.Misuse != want || e.Name != before.Name {
		m.fatalf("%s: %v, should be %v", what, e, want)
	}
	if after := m.a.Stats(); after != before {
		m.fatalf("%s changed\n%+v\nto\n%+v", what, before, after)
	}
}

// judge returns what is wrong with a free of n bytes at addr, or 0 if nothing is,
// going by the allocator's picture of its blocks. A slot that is taken in the picture
// is one of the model's, or not the model's business.
func (m *model) judge(addr uintptr, n int) slab.Misuse {
	for b := range m.a.Blocks() {
		if addr-b.Addr >= uintptr(b.Size) {
			continue
		}
		for c := range b.Chunks() {
			off := addr - b.Addr - uintptr(c.Offset)
			if off >= uintptr(c.Size) {
				continue
			}
			switch c.Kind {
			case slab.ChunkHole:
				return slab.DoubleFree
			case slab.ChunkLive:
				switch {
				case off != 0:
					return slab.Interior
				case n != c.Size:
					return slab.WrongSize
				}
				return 0
			case slab.ChunkRecord: // a lodger
				return slab.Foreign
			}
			slot := int(off) / c.Stride
			switch {
			case c.Pool || slot >= c.Slots:
				return slab.Foreign
			case int(off)%c.Stride != 0:
				return slab.Interior
			case c.Bitmap[slot/8]>>(slot%8)&1 == 0:
				return slab.DoubleFree
			case n != c.Stride:
				return slab.WrongSize
			}
			return 0
		}
		return slab.Foreign // the block's end, less than a granule
	}
	if n == 0 {
		return 0
	}
	return slab.Foreign
}

// badFree frees b and expects the misuse, unless b happens to be a live allocation.
func (m *model) badFree(b []byte, what string) {
	want := m.judge(uintptr(unsafe.Pointer(unsafe.SliceData(b))), cap(b))
	if want == 0 {
		if cap(b) != 0 {
			return // it happens to be one
		}
		before := m.a.Stats()
		m.a.Free(b)
		if m.a.Stats() != before {
			m.fatalf("%s changed something", what)
		}
		return
	}
	m.misuse(want, what, func() { m.a.Free(b) })
	m.misuse(want, what+" by Realloc", func() { _, _ = m.a.Realloc(b, 100) })
	if m.a.Owns(b) {
		m.fatalf("%s: Owns is true", what)
	}
}
