// Failures on order, to reach every error path of a program.

package vita

import "slices"

// AnyCall makes Fail and Calls count the calls of all kinds together.
const AnyCall Call = ""

// Fail makes the n-th call of a kind from now, counting from 1, fail with code and change
// nothing. Several orders may be pending at once; of those for the same call, the one given
// first determines the code. An n below 1 withdraws the orders for the kind. Fail panics if
// code is no failure.
func (s *Sim) Fail(call Call, n int, code Code) {
	if code >= 0 {
		panic("vita: Sim.Fail with " + code.Error() + ", which is no failure")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.faults
	if n < 1 {
		f.orders = slices.DeleteFunc(f.orders, func(o order) bool { return o.call == call })
		return
	}
	f.orders = append(f.orders, order{call, f.count[call] + n, code})
}

// Calls returns how many calls of a kind there have been, failed ones included.
func (s *Sim) Calls(call Call) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.count[call]
}

type faults struct {
	count  map[Call]int
	orders []order
}

type order struct {
	call Call
	at   int
	code Code
}

// hit counts a call and tells whether it is to fail.
func (f *faults) hit(call Call) (Code, bool) {
	if f.count == nil {
		f.count = make(map[Call]int)
	}
	f.count[call]++
	f.count[AnyCall]++
	code, due := OK, false
	left := f.orders[:0]
	for _, o := range f.orders {
		switch {
		case o.call != call && o.call != AnyCall || f.count[o.call] != o.at:
			left = append(left, o)
		case !due:
			code, due = o.code, true
		}
	}
	f.orders = left
	return code, due
}
