package slab

import "iter"

// BlockInfo describes a block and what is in it, for dumps and pictures.
type BlockInfo struct {
	Addr   uintptr
	Size   int  // bytes, as the source gave it
	Large  bool // one allocation has it for itself
	chunks func(yield func(ChunkInfo) bool)
}

// Chunks visits the block's chunks in address order. It is valid until the
// allocator changes. For each slab it looks at all slots and makes a Bitmap.
func (b BlockInfo) Chunks() iter.Seq[ChunkInfo] {
	if b.chunks == nil {
		return func(func(ChunkInfo) bool) {}
	}
	return b.chunks
}

// ChunkKind says what a chunk is used for.
type ChunkKind string

// The kinds of chunks.
const (
	ChunkLive ChunkKind = "live" // an allocation
	ChunkHole ChunkKind = "hole"
	ChunkSlab ChunkKind = "slab"

	// ChunkRecord: the allocator's own records, for which the source had no other block.
	ChunkRecord ChunkKind = "record"
)

// ChunkInfo describes a chunk of a block.
type ChunkInfo struct {
	Kind   ChunkKind
	Offset int // bytes from the start of the block
	Size   int // bytes

	// Of slabs:
	Stride int    // bytes from slot to slot
	Slots  int    // in all
	Used   int    // live
	Pool   bool   // the slots are a pool's, else a size class's
	Bitmap []byte // one bit for each slot, lowest first, set if the slot is live
}

// Blocks visits the blocks of the user's memory in address order, but for those that Stats
// counts as Lost. The allocator must not be changed meanwhile.
func (a *Allocator) Blocks() iter.Seq[BlockInfo] {
	return func(yield func(BlockInfo) bool) {
		for _, i := range a.user.order {
			b := &a.user.blocks[i]
			info := BlockInfo{
				Addr: b.addr(), Size: len(b.mem),
				Large:  a.table.at(b.first).kind == chunkLarge,
				chunks: func(yield func(ChunkInfo) bool) { a.chunksOf(b, yield) },
			}
			if !yield(info) {
				return
			}
		}
	}
}

func (a *Allocator) chunksOf(b *block, yield func(ChunkInfo) bool) {
	for i := b.first; i != 0; {
		c := a.table.at(i)
		info := ChunkInfo{Kind: ChunkLive, Offset: int(c.off) << granuleShift, Size: int(c.size) << granuleShift}
		switch c.kind {
		case chunkHole:
			info.Kind = ChunkHole
		case chunkLodger:
			info.Kind = ChunkRecord
		case chunkSlab:
			s := a.slabs[c.link].rec
			k := a.cacheOf(s.owner)
			info.Kind = ChunkSlab
			info.Stride, info.Slots, info.Pool = int(k.stride), int(s.slots), k.pool() != nil
			info.Bitmap = make([]byte, (s.slots+7)/8)
			for slot := range s.slots {
				if a.slotLive(c.link, s, slot) {
					info.Used++
					info.Bitmap[slot/8] |= 1 << (slot % 8)
				}
			}
		}
		if !yield(info) {
			return
		}
		i = c.next
	}
}

// slotLive tells whether a slot is handed out.
func (a *Allocator) slotLive(id uint32, s *slab, slot uint32) bool {
	if p := a.pool(s.owner); p != nil {
		return p.isLive(&p.dir[s.seq], slot)
	}
	return a.slabs[id].isLive(slot)
}
