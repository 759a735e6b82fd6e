package candidate

import (
	"math"
	"unsafe"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Kernels that candidates with plain pointers share, for workloads that do not measure
// allocation itself: they allocate through a func value, 5 000 times in a frame of a
// millisecond.

// pointerFrame is a Frame of a list of pointers, in which the last takes the place of
// one that dies.
type pointerFrame struct {
	alloc func() (*bench.Particle, error)
	free  func(*bench.Particle) error
	close func() error
	live  []*bench.Particle
}

func (f *pointerFrame) Open(first []bench.Particle) error { return f.bear(first) }

func (f *pointerFrame) bear(born []bench.Particle) error {
	for i := range born {
		p, err := f.alloc()
		if err != nil {
			return err
		}
		*p = born[i]
		f.live = append(f.live, p)
	}
	return nil
}

func (f *pointerFrame) Step(born []bench.Particle) (sum uint64, err error) {
	for i := 0; i < len(f.live); {
		p := f.live[i]
		p.VY -= bench.Gravity
		p.X += p.VX
		p.Y += p.VY
		p.Z += p.VZ
		p.Life--
		sum += p.ID ^ uint64(math.Float32bits(p.Y))
		if p.Life > 0 {
			i++
			continue
		}
		// The last one takes the place and has its turn there.
		last := len(f.live) - 1
		f.live[i], f.live[last] = f.live[last], nil
		f.live = f.live[:last]
		if err := f.free(p); err != nil {
			return 0, err
		}
	}
	return sum, f.bear(born)
}

func (f *pointerFrame) Len() int { return len(f.live) }

func (f *pointerFrame) Close() error {
	f.live = nil
	return f.close()
}

// held is an object of Hold that refers to another one by a pointer.
type held struct {
	id, value uint64
	link      *held
	_         [5]uint64
}

type pointerHold struct {
	alloc   func() (*held, error)
	close   func() error
	outside bool // objects are not on Go's heap
	at      []*held
}

func (d *pointerHold) Open(n int) error {
	if d.outside {
		d.at = hiddenTable(slots[uintptr](n))
	} else {
		d.at = slots[*held](n)
	}
	for i := range d.at {
		p, err := d.alloc()
		if err != nil {
			return err
		}
		d.at[i] = p
		p.id, p.value, p.link = uint64(i), uint64(i)*bench.Mix, d.at[i/2]
	}
	return nil
}

func (d *pointerHold) Look(order []uint32) (sum uint64) {
	for _, i := range order {
		p := d.at[i]
		sum = 3*sum + (p.id ^ p.link.value)
	}
	return sum
}

func (d *pointerHold) Close() error {
	d.at = nil
	return d.close()
}

// hiddenTable returns a table of addresses of objects outside Go's heap, as pointers. The
// collector does not scan it, as it does not scan a table of handles.
func hiddenTable[address any](table []address) []*held {
	return unsafe.Slice((**held)(unsafe.Pointer(unsafe.SliceData(table))), len(table))
}

// node is a node of a tree that refers to its children by pointers.
type node struct{ left, right *node }

func countTree(n *node) uint64 {
	if n.left == nil {
		return 1
	}
	return 1 + countTree(n.left) + countTree(n.right)
}

func nothing() error { return nil }
