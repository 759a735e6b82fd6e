package bench

import (
	"errors"
	"slices"
)

// A Kind is one of the interfaces below.
type Kind string

// The kinds of kernels.
const (
	KindFixed     Kind = "fixed"
	KindMixed     Kind = "mixed"
	KindFit       Kind = "fit"
	KindTreesFree Kind = "trees-free"
	KindTreesBulk Kind = "trees-bulk"
	KindFrame     Kind = "frame"
	KindHold      Kind = "hold"
	KindECS       Kind = "ecs"
)

// Kinds are the kinds above and those that were registered.
var Kinds = []Kind{KindFixed, KindMixed, KindFit, KindTreesFree, KindTreesBulk, KindFrame, KindHold, KindECS}

// otherwise has the reason, by registered kind, of candidates that give none.
var otherwise = map[Kind]string{}

// RegisterKind adds a kind, and the reason of those candidates that have no kernel of it
// and give no reason themselves. It is for a file in this package, beside the interface:
//
//	var KindCache = RegisterKind("cache", "no cache was made with it")
//
// It panics if the kind exists or there is no reason.
func RegisterKind(k Kind, why string) Kind {
	if slices.Contains(Kinds, k) || why == "" {
		panic("a second kind, or one without a reason: " + string(k))
	}
	Kinds = append(Kinds, k)
	otherwise[k] = why
	return k
}

// Kernel is what all kinds have in common. One goroutine uses a kernel, opens it once
// and, if Open returned nil, closes it once. A Fit and an ECS are opened and closed
// several times.
type Kernel interface {
	// Close frees everything, live objects included.
	Close() error
}

// Fixed replaces objects of equal size. An object is size bytes, at least 16, a
// multiple of 8; its first and its last eight bytes are one uint64 each.
type Fixed interface {
	Kernel
	// Open makes objects 0 to live-1; object i begins with i and ends with ^i.
	Open(size, live int) error
	// Replace does this for each slot s = order[k], in order:
	//
	//	sum = 3*sum + (first ^ last)    // of the object in s
	//	free the object in s and put a new one in its place
	//	first, last = stamp+k, s        // of the new one
	//
	// The other bytes of the new object are up to the candidate: zero if it promises
	// cleared memory.
	Replace(order []uint32, stamp uint64) (sum uint64, err error)
}

// An Op of Mixed frees the object in the slot, if there is one, and then, unless Size
// is 0, puts one of Size bytes there.
type Op struct{ Slot, Size uint32 }

// Touch says which bytes of an object are written when it is made, and read when
// it is freed.
type Touch int

const (
	// Ends: bytes 0 and size-1; the read is their sum (the same byte twice if size is 1).
	Ends Touch = iota
	// Lines: bytes 0, 64, 128, … below size, and then size-1; the read is the sum
	// of all these bytes (a byte that is both counts twice).
	Lines
)

// Mixed makes and frees objects of any size from 1 byte to some MiB.
type Mixed interface {
	Kernel
	// Open makes slots 0 to slots-1, all empty. No request exceeds maxSize.
	Open(slots, maxSize int, touch Touch) error
	// Run does this for each op = ops[k], in order:
	//
	//	if there is an object in op.Slot:
	//	    sum = 3*sum + the sum of its touched bytes
	//	    free it
	//	if op.Size > 0:
	//	    put an object of op.Size bytes there, its touched bytes all byte(stamp+k)
	Run(ops []Op, stamp uint64) (sum uint64, err error)
}

// Holder is a Mixed that knows how many bytes it has from the system, its own
// records included. For other kernels, resident memory stands in.
type Holder interface{ Held() int64 }

// A Bounder is a Holder that also counts pages that were never touched, so its figure
// may be too high. It holds at most what became resident since Open plus Began, what
// it made resident before.
type Bounder interface {
	Holder
	Began() int64
}

// Trimmer is a Mixed that can be asked to give back what it does not need. A
// candidate on Go's heap calls debug.FreeOSMemory.
type Trimmer interface{ Trim() }

// Versioned is a kernel whose version is found on the machine, not pinned in go.mod.
// Version is called after Open, and may be called after Close.
type Versioned interface{ Version() string }

// A FitOp of Fit with Size 0 frees the object in the slot. Otherwise it resizes the
// object in the slot to Size bytes, keeping its alignment, or puts Size bytes into an
// empty slot, at a multiple of Align, a power of two.
type FitOp struct{ Slot, Size, Align uint32 }

// Fit is Mixed in a heap of fixed size, until that is full.
type Fit interface {
	Kernel
	// Open makes a heap of exactly heap bytes, records included, and empty slots.
	// It is called again after Close, for another heap.
	Open(heap, slots int) error
	// Run does ops until one finds no room, and returns how many it did. The first
	// and last byte of an object are byte(Slot).
	//
	//	on free:    sum = 3*sum + first + last
	//	on resize:  sum = 3*sum + first, read afterwards; then write both again
	Run(ops []FitOp) (done int, sum uint64, err error)
}

// Trees makes and frees binary trees whose nodes hold only references to their left
// and right child. KindTreesFree frees node by node, KindTreesBulk all nodes of a tree
// at once. A tree of depth 0 is one node.
type Trees interface {
	Kernel
	Open() error
	// Keep makes the tree that stays; it is called once.
	Keep(depth int) error
	// Churn makes a tree, counts its nodes by walking it, and frees it, trees times.
	// It returns the sum of the counts.
	Churn(depth, trees int) (nodes uint64, err error)
	// Kept walks the tree that stays and counts its nodes.
	Kept() uint64
}

// Particle is an object of the frame workload: 48 bytes.
type Particle struct {
	X, Y, Z    float32
	VX, VY, VZ float32
	Size, Spin float32
	ID         uint64
	Life       int32 // frames
	Kind       uint32
}

// Gravity is what VY loses per frame.
const Gravity = 0.01

// Frame updates particles, lets some die and others be born.
type Frame interface {
	Kernel
	// Open makes these particles.
	Open(first []Particle) error
	// Step does this for each particle, in any order:
	//
	//	VY -= Gravity; X += VX; Y += VY; Z += VZ; Life--
	//	sum += ID ^ uint64(math.Float32bits(Y))
	//	if Life == 0 { free it }
	//
	// Then it makes a copy of each particle in born. It does not keep the slice.
	Step(born []Particle) (sum uint64, err error)
	// Len returns the number of particles.
	Len() int
}

// Hold keeps many objects of 64 bytes that refer to each other:
//
//	ID uint64 = i;  Value uint64 = i * Mix;  Link = object i/2;  40 bytes more
type Hold interface {
	Kernel
	// Open makes n objects.
	Open(n int) error
	// Look does, for each i = order[k]: sum = 3*sum + (object i's ID ^ Value of
	// the object that i refers to).
	Look(order []uint32) (sum uint64)
}

// Mix makes the values of Hold.
const Mix = 0x9E3779B97F4A7C15

type (
	// Position is a component of ECS.
	Position struct{ X, Y float64 }
	// Velocity is the other.
	Velocity struct{ X, Y float64 }
)

// ECS makes, looks up, updates and removes entities with two components. Candidates
// without components make them one struct. All numbers are integers that a float64
// holds exactly, so sums do not depend on the order.
type ECS interface {
	Kernel
	// Open makes an empty world and room for the names of n entities. It is
	// called again after Close, for another world.
	Open(n int) error
	// Create makes entities 0 to n-1, each with a Position and a Velocity, and
	// keeps their names in this order. Entity i has Position{i, i}, Velocity{1, 2}.
	Create() error
	// Shuffle puts the names in another order: new[k] = old[order[k]].
	Shuffle(order []uint32)
	// Delete removes the n entities in the order of their names and returns how many
	// were alive, which must be n.
	Delete() (removed int, err error)
	// Random looks up the first n entities in the order of their names, checks that each
	// is alive, and adds up the X of their positions.
	Random(n int) (sum float64)
	// Others makes n entities with a Position only; in candidates without
	// components they are objects of another type.
	Others(n int) error
	// Query visits all entities with both components, adds their velocity to their
	// position, and returns how many it visited.
	Query() (visited int)
}

// A CannotError is returned by Open if the candidate cannot do this at all.
type CannotError struct{ Reason string }

func (e *CannotError) Error() string { return "n/a: " + e.Reason }

// Cannot returns a *CannotError.
func Cannot(reason string) error { return &CannotError{reason} }

// CannotReason returns the reason if err is a *CannotError.
func CannotReason(err error) (reason string, ok bool) {
	var c *CannotError
	if errors.As(err, &c) {
		return c.Reason, true
	}
	return "", false
}
