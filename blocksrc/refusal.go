package blocksrc

import "fmt"

// refusal is an error that makes its text when it is read: a program that lives at its limit
// is refused all the time, and does not read it.
type refusal struct {
	_      [0]func() // not comparable, which saves the code for it
	format string    // of n, by index, and err, the sixth
	n      [5]int
	err    error
}

func (r *refusal) Error() string {
	return fmt.Sprintf(r.format, r.n[0], r.n[1], r.n[2], r.n[3], r.n[4], r.err)
}

func (r *refusal) Unwrap() error { return r.err }
