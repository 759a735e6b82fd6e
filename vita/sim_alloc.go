// How the simulation makes a block. It checks a request in the order in which the kernel
// seems to, and takes nothing before it has found room for everything.

package vita

// Alloc implements [Kernel].
func (s *Sim) Alloc(name string, t MemType, size, align uint32) (UID, Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallAlloc); ok {
		return 0, code
	}
	r := request{name: cString(name), t: t, pool: s.poolOf(t), size: uint64(size), align: uint64(align)}
	r.unit, r.granule = s.unit(r.pool), uint64(t.Granule())
	if s.con.Profile == Vita3K {
		return s.allocVita3K(r)
	}
	switch {
	case len(r.name) > maxName:
		return 0, UIDNameTooLong
	case !t.Known():
		return 0, IllegalMemBlockType
	case size == 0, align&(align-1) != 0, align != 0 && r.pool == PhycontPool:
		return 0, InvalidArgument
	case r.size%r.unit != 0 && !s.con.Lenient:
		return 0, IllegalMemBlockSize
	}
	return s.place(r)
}

// AllocVM implements [Kernel].
func (s *Sim) AllocVM(name string, size uint32) (UID, Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, ok := s.faults.hit(CallAllocVM); ok {
		return 0, code
	}
	r := request{name: cString(name), t: vmCode, pool: VMPool, size: uint64(size), unit: s.unit(VMPool)}
	if s.con.Profile == Vita3K {
		if size == 0 || r.size%r.unit != 0 {
			return 0, InvalidArgument
		}
		return s.allocVita3K(r)
	}
	switch {
	case len(r.name) > maxName:
		return 0, UIDNameTooLong
	case size == 0 || r.size%r.unit != 0:
		return 0, IllegalMemBlockSize
	}
	return s.place(r)
}

// poolOf returns the pool that blocks of type t are taken from. Vita3K knows one type of
// CDRAM, and takes main memory for every type that it does not know.
func (s *Sim) poolOf(t MemType) Pool {
	if s.con.Profile == Hardware {
		return t.Pool()
	}
	switch t {
	case CDRAMRW:
		return CDRAMPool
	case PhycontRW, PhycontNCRW:
		return PhycontPool
	}
	return UserPool
}

// unit returns the granule that the kernel works with in a pool. Vita3K has VM blocks of pages.
func (s *Sim) unit(p Pool) uint64 {
	if p == VMPool && s.con.Profile == Vita3K {
		return 4 << 10
	}
	return uint64(p.granule())
}

// A request is what Alloc and AllocVM have in common.
type request struct {
	name        string
	t           MemType
	pool        Pool
	size, align uint64
	unit        uint64 // of the pool
	granule     uint64 // of the type on a console
}

// allocVita3K accepts any type and any size but 0. A block is aligned to the lowest bit of
// its size, and keeps the addresses that this takes until it is freed.
func (s *Sim) allocVita3K(r request) (UID, Code) {
	r.name = r.name[:min(len(r.name), maxName)]
	if r.size == 0 || r.align&(r.align-1) != 0 {
		return 0, InvalidArgument
	}
	return s.place(r)
}

// place finds room for a request in the budget, the address space and Go's
// memory, and then takes it.
func (s *Sim) place(r request) (UID, Code) {
	size := (r.size + r.unit - 1) &^ (r.unit - 1)
	align := max(r.align, r.unit)
	room, spaceAlign := size, align
	if s.con.Profile == Vita3K {
		size = r.size // not rounded, whatever is behind it on its last page
		spaceAlign = max(align, size&-size)
		room = size + spaceAlign
		align = max(align, min(spaceAlign, r.granule)) // of Go's memory: what a Source needs
	} else {
		switch limit := s.limit[r.pool]; {
		case limit == 0:
			return 0, SysmemAddressSpaceError
		case int64(size) > limit-s.pools[r.pool].held:
			return 0, s.exhausted(r.pool)
		case len(s.blocks) >= s.con.MaxBlocks:
			return 0, NoMemory
		}
	}
	cost := int64(size + 2*align) // see memory
	if align > maxSimAlign || s.bytes+cost > maxSimBytes {
		return 0, s.exhausted(r.pool)
	}
	b := &simBlock{name: r.name, t: r.t, pool: r.pool, cost: cost}
	var ok bool
	if b.at, ok = s.space.take(s.window(r.t, r.pool), room, spaceAlign, b); !ok {
		return 0, s.noAddresses(r.pool)
	}
	b.mem = memory(int(size), int(align))
	if s.con.Profile == Hardware {
		fill(b.mem, FreshByte)
	}
	for b.uid = s.uids.get(s.con.Profile); s.blocks[b.uid] != nil; {
		b.uid = s.uids.get(s.con.Profile)
	}
	s.blocks[b.uid] = b
	s.bytes += cost
	p := &s.pools[r.pool]
	p.held += int64(size)
	p.peak = max(p.peak, p.held)
	p.blocks++
	p.total++
	return b.uid, OK
}

// exhausted is the code for a pool that has not enough left.
func (s *Sim) exhausted(p Pool) Code {
	switch {
	case s.con.Profile == Vita3K:
		return NoMemory
	case p == CDRAMPool:
		return NoFreePhysicalPageCDRAM
	case p == VMPool:
		return MemBlockOverflow
	}
	return NoFreePhysicalPage
}

// noAddresses is the code for a pool that has enough left, but not in one piece. A pool of
// contiguous memory is then exhausted. For the others no console has reported a code; this
// one's name fits.
func (s *Sim) noAddresses(p Pool) Code {
	if s.con.Profile == Vita3K || contiguous(p) {
		return s.exhausted(p)
	}
	return SysmemAddressSpaceError
}

// memory returns size bytes of Go memory at a multiple of align but not of twice align,
// which exposes a program that relies on more than it asked for.
func memory(size, align int) []byte {
	mem := make([]byte, size+2*align)
	skip := int((uintptr(align) - address(mem)) & uintptr(2*align-1))
	return mem[skip : skip+size : skip+size]
}
