package main

import (
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
	"github.com/vita-go/deblockator/vita"
)

// The game's memory: an allocator over each pool, none of which can take more than
// its part of the budget.

const (
	kib = 1 << 10
	mib = 1 << 20
)

// A pool is an allocator, the source below it, and its budget.
type pool struct {
	*slab.Allocator
	name   string
	budget int
	src    *vita.Source
	limit  blocksrc.Source
	after  []float64 // fragmentation after each level was unloaded
}

type memory struct {
	budget int
	kernel vita.Kernel
	sim    *vita.Sim // nil on a console
	pools  []*pool
	world  *pool // what the CPU works in
	video  *pool // what the GPU reads
	sound  *pool // what devices read
}

// blockSize is how much is asked of the kernel at a time. Blocks are few and never go back
// while the game runs: what one level leaves serves the next.
const blockSize = 4 * mib

func newMemory(budget int) (*memory, error) {
	m := &memory{budget: budget}
	var err error
	if m.kernel, err = vita.Native(); errors.Is(err, errors.ErrUnsupported) {
		m.sim = vita.NewSim(vita.Console{})
		m.kernel = m.sim
	} else if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		to     **pool
		name   string
		mt     vita.MemType
		eighth int
	}{
		{&m.world, "world", vita.UserRW, 4},
		{&m.video, "textures", vita.CDRAMRW, 3},
		{&m.sound, "sound", vita.PhycontRW, 1},
	} {
		n := &pool{name: p.name, budget: budget / 8 * p.eighth}
		n.src = &vita.Source{Kernel: m.kernel, Type: p.mt, Name: p.name}
		n.limit = blocksrc.Limit(n.src, n.budget)
		cfg := slab.Config{
			Source: n.limit, BlockSize: blockSize, MaxBlockSize: blockSize, Retain: budget, Name: p.name,
		}
		if *p.to = n; n != m.world {
			cfg.MetaSource = m.world.limit // records need cached memory and small blocks
		}
		if n.Allocator, err = slab.New(cfg); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		m.pools = append(m.pools, n)
	}
	return m, nil
}

// close gives everything back and reports what could not be.
func (m *memory) close() error {
	var errs []error
	for _, p := range m.pools {
		errs = append(errs, p.Close())
	}
	for _, p := range m.pools {
		if st := p.src.Stats(); st.Held > 0 || st.Orphans > 0 {
			errs = append(errs, fmt.Errorf("%s: %d bytes are still held, and %d blocks that the kernel did not take back",
				p.name, st.Held, st.Orphans))
		}
	}
	if m.sim != nil {
		errs = append(errs, m.sim.Leaks())
	}
	return errors.Join(errs...)
}
