package slab_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// populated is a source that notes what is populated.
type populated struct {
	t     *testing.T
	parts [][]byte // while keep
	keep  bool
	bytes int
	blocksrc.GoHeap
	after func() error
}

func (p *populated) Populate(part []byte) error {
	require.Equal(p.t, len(part), cap(part), "no more than that is shown")
	require.GreaterOrEqual(p.t, len(part), slab.PopulateSize)
	for _, b := range part {
		if b != 0 {
			p.t.Fatal("populated what was handed out before")
		}
	}
	if p.keep {
		p.parts = append(p.parts, part)
	}
	p.bytes += len(part)
	if p.after != nil {
		return p.after()
	}
	return nil
}

// inSlabs tells whether every part lies in a slab.
func (p *populated) inSlabs(a *slab.Allocator) bool {
	return !slices.ContainsFunc(p.parts, func(part []byte) bool { return !within(a, slab.ChunkSlab, part) })
}

// TestPopulate: pages of a slab that were never handed out are asked for when it is made, if
// there are enough of them.
func TestPopulate(t *testing.T) {
	src := &populated{t: t, keep: true}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), Retain: 64 << 20})
	require.NoError(t, err)
	a.PauseChecks()
	p, err := slab.NewPool(a, 64, 0)
	require.NoError(t, err)
	const n = 30_000
	got := make([]*[64]byte, n) // TinyGo takes minutes to compile a loop over an array of as many
	fill := func() {
		for i := range got {
			q, err := p.Alloc()
			if err != nil {
				t.Fatal(err)
			}
			got[i] = (*[64]byte)(q)
			got[i][i%64] = 1
		}
	}
	for range 500 { // these fit in slabs that are too small
		_, err := p.Alloc()
		require.NoError(t, err)
	}
	require.Zero(t, src.bytes)
	fill()
	require.Greater(t, src.bytes, n*64*8/10)
	require.True(t, src.inSlabs(a))
	before := src.bytes
	for _, q := range got {
		p.Free(unsafe.Pointer(q))
	}
	fill()
	require.LessOrEqual(t, src.bytes-before, src.bytes/10, "what was handed out has its pages")

	before = src.bytes
	for range 100 { // a program may never write to these
		_, err := a.AllocUninitialized(100_000, 0)
		require.NoError(t, err)
	}
	require.Equal(t, before, src.bytes)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestPopulateInUse: slabs, chunks and records come and go; what is populated was never handed
// out, which the source checks.
func TestPopulateInUse(t *testing.T) {
	src := &populated{t: t}
	a, err := slab.New(slab.Config{Source: src, BlockSize: 512 << 10})
	require.NoError(t, err)
	a.PauseChecks()
	rng := rand.New(rand.NewPCG(1, 1))
	var live [][]byte
	held := 0
	for range 3_000 {
		if len(live) > 0 && (held > 4<<20 || rng.IntN(3) == 0) {
			k := rng.IntN(len(live))
			held -= len(live[k])
			a.Free(live[k])
			live[k] = live[len(live)-1]
			live = live[:len(live)-1]
			continue
		}
		n := 1 << rng.IntN(11)
		if rng.IntN(8) == 0 {
			n = 1024 + rng.IntN(60_000)
		}
		for range 1 + rng.IntN(40) {
			b, err := a.AllocUninitialized(n, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b {
				b[i] = 0xA5
			}
			live = append(live, b)
			held += n
		}
	}
	require.NotZero(t, src.bytes)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestPopulateFails: it is a wish, and whatever becomes of it, there is a slab.
func TestPopulateFails(t *testing.T) {
	src := &populated{t: t, after: func() error { return errors.New("not today") }}
	a, err := slab.New(slab.Config{Source: src})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 4096, 0)
	require.NoError(t, err)
	for range 50 {
		_, err := p.Alloc()
		require.NoError(t, err)
	}
	require.NotZero(t, src.bytes)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestPopulateTheRest: where a slab lies on memory of which some was handed out, the rest is
// populated.
func TestPopulateTheRest(t *testing.T) {
	src := &populated{t: t, keep: true}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 1 << 20})
	require.NoError(t, err)
	const size = 100 << 10
	b, err := a.AllocUninitialized(size, 0)
	require.NoError(t, err)
	for i := range b {
		b[i] = 0xA5
	}
	a.Free(b)
	p, err := slab.NewPool(a, 64, 0)
	require.NoError(t, err)
	require.NoError(t, p.Reserve(4096))
	rest := 4096*64 - size // and more if the block is not aligned to a window, as the slab is
	require.GreaterOrEqual(t, src.bytes, rest)
	require.Less(t, src.bytes, rest+slab.Window)
	require.True(t, src.inSlabs(a))
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// paged is a source whose pages come and go, as the system's do.
type paged struct {
	blocksrc.GoHeap
	populated, discarded int
}

func (p *paged) Populate(part []byte) error {
	p.populated += len(part)
	return nil
}

func (p *paged) Discard(part []byte) error {
	p.discarded += len(part)
	clear(part) // as the system may
	return nil
}

// TestTrimPopulated: Trim gives back the pages of slots that were never handed out, if they came
// with their slab. The slots remain known to be zero.
func TestTrimPopulated(t *testing.T) {
	for _, size := range []int{64, 32 << 10} {
		src := &paged{}
		a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap)})
		require.NoError(t, err)
		a.PauseChecks()
		n := 256 << 10 / size
		var pools []*slab.Pool
		for range 10 {
			p, err := slab.NewPool(a, size, 8)
			require.NoError(t, err)
			require.NoError(t, p.Reserve(n))
			_, err = p.AllocUninitialized()
			require.NoError(t, err)
			pools = append(pools, p)
		}
		require.Equal(t, 10*256<<10, src.populated)
		a.Trim()
		require.Equal(t, src.populated-10*size, src.discarded, "all but what is live")
		for _, p := range pools {
			for range n - 1 {
				q, err := p.Alloc()
				require.NoError(t, err)
				require.Zero(t, *(*[64]byte)(q))
			}
		}
		require.NoError(t, a.Check())
		require.NoError(t, a.Close())
	}
}

// TestReserveAfterTrim: pages that a Trim has given back come again with the next slab there.
func TestReserveAfterTrim(t *testing.T) {
	src := &paged{}
	a, err := slab.New(slab.Config{Source: src, MetaSource: new(blocksrc.GoHeap), BlockSize: 2 << 20})
	require.NoError(t, err)
	a.PauseChecks()
	one(t, a, 2000) // keeps the block
	for range 2 {
		p, err := slab.NewPool(a, 64, 8)
		require.NoError(t, err)
		src.populated = 0
		require.NoError(t, p.Reserve(20_000))
		require.Greater(t, src.populated, 20_000*64*8/10)
		for range 20_000 {
			_, err := p.Alloc()
			require.NoError(t, err)
		}
		require.NoError(t, p.Close())
		a.Trim()
	}
	require.Equal(t, 1, a.Stats().Blocks)
	require.NoError(t, a.Close())
}

// TestPopulateNoHugeSlot: nobody may ever write to all of a slot that is longer than slabs are.
func TestPopulateNoHugeSlot(t *testing.T) {
	src := &paged{}
	a, err := slab.New(slab.Config{Source: src})
	require.NoError(t, err)
	for _, size := range []int{1 << 20, 256 << 10} {
		p, err := slab.NewPool(a, size, 8)
		require.NoError(t, err)
		_, err = p.AllocUninitialized()
		require.NoError(t, err)
		require.Equal(t, size < 1<<20, src.populated > 0, "%d bytes", size)
	}
	require.NoError(t, a.Close())
}

// TestTrimDiscardsRecords: blocks of records stay because some records in them are needed. Trim
// gives back the pages of the others.
func TestTrimDiscardsRecords(t *testing.T) {
	meta := &paged{}
	a, err := slab.New(slab.Config{Source: new(blocksrc.GoHeap), MetaSource: meta})
	require.NoError(t, err)
	a.PauseChecks()
	one(t, a, 2000)
	p, err := slab.NewPool(a, 16, 8)
	require.NoError(t, err)
	for range 1_000_000 {
		_, err := p.AllocUninitialized()
		require.NoError(t, err)
	}
	require.NoError(t, p.Close())
	a.Trim()
	held := a.Stats().Meta
	require.Greater(t, meta.discarded, held*8/10)
	one(t, a, 2000)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}

// TestRefusalsKeepReservedPages: room that was reserved has its pages, whatever is refused
// meanwhile, even if nothing is live.
func TestRefusalsKeepReservedPages(t *testing.T) {
	src := &paged{}
	a, err := slab.New(slab.Config{Source: blocksrc.Limit(src, 4<<20), MetaSource: new(blocksrc.GoHeap)})
	require.NoError(t, err)
	p, err := slab.NewPool(a, 64, 8)
	require.NoError(t, err)
	require.NoError(t, p.Reserve(30_000))
	require.NotZero(t, src.populated)
	for range 3 {
		_, err := a.Alloc(3<<20, 8)
		require.ErrorIs(t, err, slab.ErrExhausted)
		require.ErrorIs(t, p.Reserve(80_000), slab.ErrExhausted)
	}
	require.Zero(t, src.discarded)
	require.NoError(t, a.Check())
	require.NoError(t, a.Close())
}
