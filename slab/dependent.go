package slab

// Code that keeps an allocator's memory at hand has to learn when that memory goes. It can
// compare epochs, or arrange for a call.

// Epoch returns how many times a was Reset or closed. What was allocated in an earlier
// epoch is gone.
func (a *Allocator) Epoch() uint64 { return a.epoch }

// dependent is a call to be made at the next Reset.
type dependent struct {
	forget func()
	at     int // in the allocator's list, -1 once it is not there
}

// OnReset arranges for f to be called once, at the next Reset or Close of a, before any block
// goes back. It is for code that keeps memory of a's at hand, as a Region does: a pointer into a
// block must not outlive the block. f must not be nil, nor call a, not even OnReset. After Close
// nothing calls it. cancel ends the arrangement; after f was called it does nothing.
func (a *Allocator) OnReset(f func()) (cancel func()) {
	if f == nil {
		panic("slab: OnReset of nil")
	}
	d := &dependent{f, len(a.dependents)}
	a.dependents = append(a.dependents, d)
	return func() { a.unlist(d) }
}

// unlist takes d off the list, if it is there.
func (a *Allocator) unlist(d *dependent) {
	if d.at < 0 {
		return
	}
	n := len(a.dependents) - 1
	last := a.dependents[n]
	a.dependents[d.at], last.at = last, d.at
	a.dependents[n] = nil
	a.dependents, d.at = a.dependents[:n], -1
}

// tellDependents makes the calls. Each is off the list before it is made: one may cancel
// another, and if one panics, the others are made by the next Reset.
func (a *Allocator) tellDependents() {
	for n := len(a.dependents); n > 0; n = len(a.dependents) {
		d := a.dependents[n-1]
		a.unlist(d)
		d.forget()
	}
}
