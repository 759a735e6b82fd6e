// The domain for code that a program makes at run time. Its memory here is memory
// like any other: whether it may be written to or run cannot be simulated, only the
// statuses can.

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

// VMOpen tells whether the VM domain is writable, as it is after OpenVM and at
// first is not. A program that leaves it so cannot run the code that it made.
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
