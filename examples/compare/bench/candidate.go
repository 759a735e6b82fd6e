package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Family is what kind of thing a candidate is. It orders the columns.
type Family int

// The families.
const (
	Ours   Family = iota
	Go            // what Go programs do without a library
	Module        // other Go libraries
	C             // allocators of C, their loops in C
	Entity        // entity component systems
)

// A Candidate is a way for a program to get memory for its objects. It has a
// constructor for each kind of kernel that it can do, and a reason for each that
// it cannot.
type Candidate struct {
	Name   string // as in the report and on the command line: "arena pointers"
	About  string // what exactly is measured, in one line, with the version
	Family Family
	Rank   int      // orders the candidates of a family; then it is the name
	Colour string   // "#rrggbb", readable on white and on black
	Frees  bool     // it frees single objects, and reuses their memory at once
	Slow   bool     // it needs minutes for the largest workloads, and is spared those
	Env    []string // of the process that it runs in, such as "GOGC=400"

	// Kernels makes them, new ones each time.
	Kernels Kernels

	// Lacks says for each kind that is not in Kernels why: "no free of single objects".
	// It is read as the continuation of "n/a: ".
	Lacks map[Kind]string

	// Missing returns why this candidate cannot run here at all, such as a shared
	// library that is not installed; "" or nil if it can.
	Missing func() string
	// Program, if not nil, returns the program that runs the candidate, if it is
	// not this one.
	Program func(dir string) (path string, err error)
}

// Kernels are constructors. What one for KindFixed returns is a Fixed, and so on.
type Kernels map[Kind]func() Kernel

// New returns a kernel of a kind, or nil.
func (c *Candidate) New(k Kind) Kernel {
	if !c.Has(k) {
		return nil
	}
	return c.Kernels[k]()
}

// Has tells whether c has a kernel of a kind.
func (c *Candidate) Has(k Kind) bool { return c.Kernels[k] != nil }

// Why returns why c has no kernel of a kind.
func (c *Candidate) Why(k Kind) string { return cmp.Or(c.Lacks[k], otherwise[k]) }

// Check returns what is wrong with c's description.
func (c *Candidate) Check() error {
	if c.Name == "" || c.About == "" || len(c.Colour) != 7 {
		return fmt.Errorf("candidate %q lacks a name, a description or a colour", c.Name)
	}
	for _, k := range Kinds {
		if !c.Has(k) && c.Why(k) == "" || c.Has(k) && c.Lacks[k] != "" {
			return fmt.Errorf("candidate %q: kernel %s: either there is one or a reason why not, not %q", c.Name, k, c.Lacks[k])
		}
	}
	return nil
}

// LacksAll returns the same reason for each of kinds.
func LacksAll(reason string, kinds ...Kind) map[Kind]string {
	m := map[Kind]string{}
	for _, k := range kinds {
		m[k] = reason
	}
	return m
}

var candidates []*Candidate

// Register adds a candidate; call it from an init function. It panics if there
// is one of that name, or the description is wrong.
func Register(c *Candidate) {
	if err := c.Check(); err != nil {
		panic(err)
	}
	for _, o := range candidates {
		if o.Name == c.Name {
			panic("two candidates are called " + c.Name)
		}
	}
	candidates = append(candidates, c)
	slices.SortStableFunc(candidates, func(a, b *Candidate) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Rank, b.Rank), strings.Compare(a.Name, b.Name))
	})
}

// Candidates returns all that are registered, in the order of the report.
func Candidates() []*Candidate { return slices.Clone(candidates) }
