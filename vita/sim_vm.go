// The VM domain, for code that a program makes at run time. Its memory here is like any
// other: the statuses can be simulated, but not whether memory is writable or executable.

package vita

// OpenVM implements [Kernel].
func (s *Sim) OpenVM() Code { return s.setVM(CallOpenVM, true) }

// CloseVM implements [Kernel].
func (s *Sim) CloseVM() Code { return s.setVM(CallCloseVM, false) }

func (s *Sim) setVM(call Call, open bool) Code {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(call); ok {
		return code
	}
	s.open = open
	return OK
}

// VMOpen tells whether the VM domain is writable. It is after OpenVM, and is not at first
// or after CloseVM. A program that leaves it open cannot run the code that it made.
func (s *Sim) VMOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// SyncVM implements [Kernel].
func (s *Sim) SyncVM(uid UID, addr uintptr, size uint32) Code {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallSyncVM); ok {
		return code
	}
	b, ok := s.blocks[uid]
	if !ok || b.pool != VMPool {
		return IllegalBlockID
	}
	if s.con.Profile == Hardware {
		at := address(b.mem)
		if n := uintptr(len(b.mem)); addr < at || addr-at > n || uintptr(size) > n-(addr-at) {
			return MemBlockRangeError
		}
	}
	return OK
}
