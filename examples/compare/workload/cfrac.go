package workload

import (
	"math/big"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// W19, cfrac: the numbers that a program makes to factor a long one by the continued
// fraction method of Morrison and Brillhart ("A method of factoring and the
// factorization of F7", 1975). Each result is an object of its own. Nearly all die
// within a few more allocations, the youngest first.
func init() {
	bench.RegisterWorkload(&bench.Workload{
		Name:  "w19",
		Group: "mixed",
		Rank:  32,
		About: "cfrac: the numbers made in factoring 17545186520507317056371138836327483792789528, 10 to some 30 bytes, " +
			"most of them dead after a few more; time of an allocation and a free; touch both ends",
		Kind:    bench.KindMixed,
		Metrics: timeMetrics,
		Run: func(k bench.Kernel, s bench.Size) (bench.Outcome, error) {
			m := mix{slots: cfracSlots, maxSize: 60, touch: bench.Ends, batch: 1 << 17, perTime: 2, fill: 4, batches: 80}
			if s == bench.Short {
				m.fill, m.batches = 1, 2
			}
			m.next = newCfrac().next
			return m.run(k.(bench.Mixed), s, false)
		},
	})
}

// A cfrac computes the convergents h of the square root of n, with m and d the numbers
// of the continued fraction in their usual notation:
//
//	h² = ±d (mod n)
//
// It keeps each h whose d has at most one prime factor beyond a base of small ones. The
// numbers that it makes and drops on the way are the tape.
type cfrac struct {
	n, root          *big.Int
	m, d, h          int // slots
	dBefore, hBefore int
	base             []*big.Int

	numbers [cfracSlots]big.Int // by slot; a slot's next number reuses its memory
	free    []int
	kept    int // so far
	ops     []bench.Op
	watch   func() // in tests, after each step
}

const (
	cfracYoung = 64   // slots of numbers that are dropped
	cfracKept  = 1024 // and of those that are kept; the oldest is replaced
	cfracSlots = cfracYoung + cfracKept

	cfracBase = 256 // primes
	// A number that is still longer than this after half of the base is given up.
	cfracHopeless = 52 // bits
	// The rest of a number may be one prime beyond the base, no longer than this: two
	// numbers that share it are as good as one without.
	cfracLarge = 23 // bits

	// A number begins with its reference count, the digits that it has room for, the
	// digits that it has, and its sign; digits of 16 bits follow.
	numberHead, numberDigit = 8, 2
)

func newCfrac() *cfrac {
	c := &cfrac{}
	c.n, _ = new(big.Int).SetString("17545186520507317056371138836327483792789528", 10)
	c.root = new(big.Int).Sqrt(c.n)
	for p := int64(2); len(c.base) < cfracBase; p++ {
		b := big.NewInt(p)
		// No other prime divides a d. 2 does: n is even.
		if b.ProbablyPrime(0) && (p == 2 || big.Jacobi(c.n, b) >= 0) {
			c.base = append(c.base, b)
		}
	}
	for s := cfracYoung - 1; s >= 0; s-- {
		c.free = append(c.free, s)
	}
	one, zero := big.NewInt(1), new(big.Int)
	c.m, c.dBefore, c.d = c.set(zero), c.set(c.n), c.set(one)
	c.hBefore, c.h = c.set(zero), c.set(one)
	return c
}

// next fills ops with the next operations.
func (c *cfrac) next(ops []bench.Op) {
	for len(c.ops) < len(ops) {
		c.step()
		if c.watch != nil {
			c.watch()
		}
	}
	n := copy(ops, c.ops)
	c.ops = append(c.ops[:0], c.ops[n:]...)
}

func (c *cfrac) step() {
	m, d, h := c.at(c.m), c.at(c.d), c.at(c.h)

	t := c.result((*big.Int).Add, c.root, m)
	a := c.result((*big.Int).Quo, c.at(t), d)
	c.drop(t)

	t = c.result((*big.Int).Mul, c.at(a), d)
	m2 := c.result((*big.Int).Sub, c.at(t), m)
	c.drop(t)

	t = c.result((*big.Int).Sub, m, c.at(m2))
	u := c.result((*big.Int).Mul, c.at(t), c.at(a))
	d2 := c.result((*big.Int).Add, c.at(u), c.at(c.dBefore))
	c.drop(u, t, c.m, c.dBefore)

	t = c.result((*big.Int).Mul, h, c.at(a))
	u = c.result((*big.Int).Add, c.at(t), c.at(c.hBefore))
	h2 := c.result((*big.Int).Rem, c.at(u), c.n)
	c.drop(u, t, a, c.hBefore)

	c.m, c.dBefore, c.d, c.hBefore, c.h = m2, c.d, d2, c.h, h2
	if c.smooth() {
		s := cfracYoung + c.kept%cfracKept
		c.kept++
		c.at(s).Set(c.at(h2))
		c.made(s)
	}
}

// smooth reports whether d has no prime factor beyond the base, except for one of at
// most cfracLarge bits.
func (c *cfrac) smooth() bool {
	rest := c.set(c.at(c.d))
	for i := 0; i < len(c.base); {
		quotient, remainder := c.slot(), c.slot()
		c.at(quotient).QuoRem(c.at(rest), c.base[i], c.at(remainder))
		c.made(quotient)
		c.made(remainder)
		divides := c.at(remainder).Sign() == 0
		c.drop(remainder)
		if divides {
			c.drop(rest)
			rest = quotient
			continue
		}
		c.drop(quotient)
		if i++; i == len(c.base)/2 && c.at(rest).BitLen() > cfracHopeless {
			break
		}
	}
	smooth := c.at(rest).BitLen() <= cfracLarge
	c.drop(rest)
	return smooth
}

func (c *cfrac) at(slot int) *big.Int { return &c.numbers[slot] }

// slot takes a free slot.
func (c *cfrac) slot() int {
	s := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	return s
}

// made records the new number in a slot on the tape.
func (c *cfrac) made(slot int) {
	digits := max(1, (c.at(slot).BitLen()+8*numberDigit-1)/(8*numberDigit))
	c.ops = append(c.ops, bench.Op{Slot: uint32(slot), Size: uint32(numberHead + numberDigit*digits)})
}

// result makes the number that op computes.
func (c *cfrac) result(op func(z, x, y *big.Int) *big.Int, x, y *big.Int) int {
	s := c.slot()
	op(c.at(s), x, y)
	c.made(s)
	return s
}

func (c *cfrac) set(x *big.Int) int {
	s := c.slot()
	c.at(s).Set(x)
	c.made(s)
	return s
}

func (c *cfrac) drop(slots ...int) {
	for _, s := range slots {
		c.ops = append(c.ops, bench.Op{Slot: uint32(s)})
		c.free = append(c.free, s)
	}
}
