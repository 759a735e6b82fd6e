// What is held, by whom, and what was not freed.

package vita

import (
	"fmt"
	"strings"
)

// A Budget is the state of one pool. Sizes are in bytes.
type Budget struct {
	Pool    Pool
	Limit   int64 // 0 if the process has no such pool; Vita3K does not enforce it
	Held    int64 // in main memory with newlib's heap
	Peak    int64 // the most that was ever held
	Largest int64 // largest block available now, without an alignment; in main memory, cached
	Blocks  int
	Total   int // blocks ever made
}

// typical has one type of each pool.
var typical = [numPools]MemType{UserRW, CDRAMRW, PhycontRW, CDialogRW, ToolRW, vmCode}

// Budgets returns the state of every pool. It looks at every block.
func (s *Sim) Budgets() []Budget {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Budget, 0, numPools)
	for p, c := range s.pools {
		p, t := Pool(p), typical[p]
		pool := p
		if p != VMPool {
			pool = s.poolOf(t)
		}
		unit := int64(s.unit(pool))
		most := int64(s.space.largest(s.window(t, pool), uint64(unit)))
		if s.con.Profile == Hardware {
			most = min(most, s.limit[p]-c.held, maxSimBytes-s.bytes-2*unit)
			if len(s.blocks) >= s.con.MaxBlocks {
				most = 0
			}
		} else {
			most = int64(mostVita3K(int(most/unit), int((maxSimBytes-s.bytes)/unit), t.Granule()/int(unit))) * unit
		}
		all = append(all, Budget{
			Pool: p, Limit: s.limit[p], Held: c.held, Peak: c.peak,
			Largest: max(0, most) &^ (unit - 1),
			Blocks:  c.blocks, Total: c.total,
		})
	}
	return all
}

// mostVita3K returns the largest size for which there are addresses and Go's memory, all in
// units. A block takes the lowest bit of its size once more of the addresses and, up to the
// type's granule, twice of the memory. So no odd size is worse than the even one above it.
func mostVita3K(addresses, memory, granule int) int {
	n := min(addresses-1, memory-2)
	if low := n & -n; n+low > addresses || n+2*min(low, granule) > memory {
		n--
	}
	return n
}

// Block is a live block.
type Block struct {
	UID  UID
	Name string
	Type MemType
	Addr uint32 // in the simulated address space
	Size int
}

// String describes b on one line.
func (b Block) String() string {
	return fmt.Sprintf("%q, %d bytes of %v at %#x, UID %#x", b.Name, b.Size, b.Type, b.Addr, uint32(b.UID))
}

// Blocks returns the live blocks in the order of their simulated addresses.
func (s *Sim) Blocks() []Block {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Block, 0, len(s.blocks))
	for _, p := range s.space.used {
		if b := p.block; b != nil {
			all = append(all, Block{b.uid, b.name, b.t, uint32(p.lo), len(b.mem)})
		}
	}
	return all
}

// Leaks returns nil if every block was freed, and otherwise an error that lists the others.
func (s *Sim) Leaks() error {
	blocks := s.Blocks()
	if len(blocks) == 0 {
		return nil
	}
	var list strings.Builder
	for _, b := range blocks {
		list.WriteString("\n\t" + b.String())
	}
	return fmt.Errorf("vita: %d blocks were not freed:%s", len(blocks), list.String())
}
