package slab

// Who keeps memory of an allocator's at hand has to learn when it goes: by an epoch to
// compare, or by a call.

// Epoch returns how many times a was Reset or closed. What was allocated in an earlier
// epoch is gone.
func (a *Allocator) Epoch() uint64 { return a.epoch }

// dependent is who wants to know of the next Reset.
type dependent struct {
	forget func()
	at     int // in the allocator's list
}

// OnReset arranges for f to be called at the next Reset or Close of a, before any
// block goes back, and then no more. It is for those that keep memory of a's at
// hand, as a Region does: a pointer into a block must not outlive it. f must not
// call a. cancel ends the arrangement; after f was called it does nothing.
func (a *Allocator) OnReset(f func()) (cancel func()) {
	if f == nil {
		panic("slab: OnReset of nil")
	}
	d := &dependent{f, len(a.dependents)}
	a.dependents = append(a.dependents, d)
	return func() {
		n := len(a.dependents) - 1
		if d.at > n || a.dependents[d.at] != d {
			return
		}
		last := a.dependents[n]
		a.dependents[d.at], last.at = last, d.at
		a.dependents[n] = nil
		a.dependents = a.dependents[:n]
	}
}
