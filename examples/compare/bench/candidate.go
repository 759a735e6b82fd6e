package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Family is the kind of a candidate. It orders the rows of a table.
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
	Rank   int      // orders the candidates of a family; ties go by name
	Colour string   // "#rrggbb", readable on white and on black
	Frees  bool     // it frees single objects, and reuses their memory at once
	Slow   bool     // it would need minutes for the largest workloads, and is spared them
	Env    []string // environment of its process, such as "GOGC=400"

	// Kernels has the constructors; each call makes a new kernel.
	Kernels Kernels

	// Lacks gives the reason for each kind that is not in Kernels: "no free of single
	// objects". It is read as the continuation of "n/a: ".
	Lacks map[Kind]string

	// Missing returns why this candidate cannot run here at all, such as a shared
	// library that is not installed; "" or nil if it can.
	Missing func() string
	// Program, if not nil, builds in dir the program that runs the candidate, and
	// returns its path. It gives up when ctx ends. If it is nil, this program runs the
	// candidate.
	Program func(ctx context.Context, dir string) (path string, err error)
}

// Kernels are constructors: the one for KindFixed returns a Fixed, and so on.
type Kernels map[Kind]func() Kernel

// New returns a new kernel of a kind, or nil if c has none.
func (c *Candidate) New(k Kind) Kernel {
	if !c.Has(k) {
		return nil
	}
	return c.Kernels[k]()
}

// Has reports whether c has a kernel of a kind.
func (c *Candidate) Has(k Kind) bool { return c.Kernels[k] != nil }

// Why returns why c has no kernel of a kind.
func (c *Candidate) Why(k Kind) string { return cmp.Or(c.Lacks[k], otherwise[k]) }

// Check returns an error if c's description is incomplete or contradicts itself.
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

// Register adds a candidate; call it from an init function. It panics if the name
// is taken or Check fails.
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
