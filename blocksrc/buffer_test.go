package blocksrc_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
)

// Each row is a picture of a buffer, 16 bytes a letter, and what one call makes
// of it: +X2 acquires a block X of two granules, +X2@4 aligned to four, -X
// releases the first X.
func TestBufferPictures(t *testing.T) {
	for _, tt := range []struct{ before, call, after, why string }{
		{"________", "+A3", "AAA_____", "first of all"},
		{"AAA_____", "+B5", "AAABBBBB", "the rest"},
		{"AA___B__", "+C2", "AA___BCC", "best fit, not first"},
		{"A__B__C_", "+D2", "ADDB__C_", "of equal ones the lowest"},
		{"A__B___C", "+D3", "A__BDDDC", "exact"},
		{"A____B__", "+D3", "ADDD_B__", "the only one with room"},
		{"________", "+A8", "AAAAAAAA", "the whole"},
		{"________", "+A9", "________", "more than there is"},
		{"A_B_C_D_", "+E2", "A_B_C_D_", "enough, but in pieces"},
		{"AAAAAAAA", "+B1", "AAAAAAAA", "nothing left"},

		{"_A______", "+B2@4", "_A__BB__", "a front and a back"},
		{"A____BCC", "+D1@4", "A___DBCC", "a front only"},
		{"____ABCC", "+D2@8", "DD__ABCC", "a back only"},
		{"A__B____", "+C2@4", "A__BCC__", "past a smaller hole"},
		{"___AB_C_", "+D1@4", "D__AB_C_", "past two smaller holes"},
		{"_A__B___", "+C2@2", "_ACCB___", "best fit among the aligned"},
		{"AAAA____", "+C4@4", "AAAACCCC", "exact and aligned"},
		{"A___B__C", "+D1@4", "A___B__C", "room, but not there"},
		{"A_______", "+C5@4", "A_______", "room, but not behind the front"},

		{"AAABB___", "-A", "___BB___", "joins nothing, at the start"},
		{"___AABBB", "-B", "___AA___", "joins nothing, at the end"},
		{"AABBCCDD", "-B", "AA__CCDD", "joins nothing, between"},
		{"AAABB___", "-B", "AAA_____", "joins what follows"},
		{"__ABBBCC", "-A", "___BBBCC", "joins what precedes"},
		{"__ABBB__", "-A", "___BBB__", "joins one of two"},
		{"__AA____", "-A", "________", "joins both"},
		{"A_B_C_D_", "-C", "A_B___D_", "joins both of many"},
		{"AAAAAAAA", "-A", "________", "joins nothing, the whole"},
		{"_ABA_CA_", "-A", "__BA_CA_", "not the others"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			g := drawGrid(t, tt.before)
			require.Equal(t, tt.before, g.picture())
			var name byte
			n, align := 0, 0
			if tt.call[0] == '-' {
				g.release(tt.call[1])
			} else if _, err := fmt.Sscanf(tt.call, "+%c%d@%d", &name, &n, &align); err == nil || n > 0 {
				g.acquire(name, 16*n, 16*align)
			}
			assert.Equal(t, tt.after, g.picture())
		})
	}
}

// A grid is a buffer of few granules, with its blocks by name.
type grid struct {
	t      *testing.T
	src    *blocksrc.Buffer
	mem    []byte
	blocks []named
}

type named struct {
	name byte
	mem  []byte
}

// drawGrid fills a buffer granule by granule, then replaces each run of letters by a
// block: the run is the only hole then.
func drawGrid(t *testing.T, picture string) *grid {
	raw := make([]byte, 512)
	skip := int(-blocksrc.Address(raw) & 255) // so that alignments show in the picture
	g := &grid{t: t, mem: raw[skip : skip+16*len(picture)]}
	g.src = blocksrc.NewBuffer(g.mem)
	cells := make([][]byte, len(picture))
	for i := range cells {
		cells[i], _ = g.src.Acquire(16, 0)
	}
	for i, j := 0, 0; i < len(picture); i = j {
		for j = i; j < len(picture) && picture[j] == picture[i]; j++ {
			if picture[i] != '_' {
				require.NoError(t, g.src.Release(cells[j]))
			}
		}
		if picture[i] != '_' {
			g.acquire(picture[i], 16*(j-i), 0)
		}
	}
	for i := range cells {
		if picture[i] == '_' {
			require.NoError(t, g.src.Release(cells[i]))
		}
	}
	return g
}

func (g *grid) acquire(name byte, size, align int) {
	block, err := g.src.Acquire(size, align)
	if err != nil {
		require.ErrorIs(g.t, err, blocksrc.ErrExhausted)
		return
	}
	g.blocks = append(g.blocks, named{name, block})
}

func (g *grid) release(name byte) {
	for i, b := range g.blocks {
		if b.name == name {
			require.NoError(g.t, g.src.Release(b.mem))
			g.blocks = append(g.blocks[:i], g.blocks[i+1:]...)
			return
		}
	}
}

func (g *grid) picture() string {
	cells := make([]byte, len(g.mem)/16)
	for _, h := range g.src.Holes() {
		for i := h[0] / 16; i < (h[0]+h[1])/16; i++ {
			require.Zero(g.t, cells[i], "holes overlap")
			cells[i] = '_'
		}
		if end := h[0] + h[1]; end < len(g.mem) {
			require.Zero(g.t, cells[end/16], "holes touch")
		}
	}
	for _, b := range g.blocks {
		at := int(blocksrc.Address(b.mem)-blocksrc.Address(g.mem)) / 16
		for i := at; i < at+len(b.mem)/16; i++ {
			require.Zero(g.t, cells[i], "block on something else")
			cells[i] = b.name
		}
	}
	require.NotContains(g.t, cells, byte(0), "every granule is a hole's or a block's")
	return string(cells)
}

// In any order of calls, blocks and holes tile the buffer, and at the end it is one hole
// again.
func TestBufferTilesItself(t *testing.T) {
	const size = 1 << 16
	src := buffer(size)
	random := rand.New(rand.NewPCG(7, 7))
	var blocks [][]byte
	held := 0
	for range 3000 {
		if random.IntN(5) < 3 {
			block, err := src.Acquire(1+random.IntN(2000), 1<<random.IntN(10))
			if err != nil {
				require.ErrorIs(t, err, blocksrc.ErrExhausted)
				continue
			}
			blocks = append(blocks, block)
			held += len(block)
		} else if len(blocks) > 0 {
			i := random.IntN(len(blocks))
			held -= len(blocks[i])
			require.NoError(t, src.Release(blocks[i]))
			blocks[i] = blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
		}
		holes, end := src.Holes(), -1
		for _, h := range holes {
			if h[0] <= end || h[1] <= 0 {
				t.Fatalf("not ascending, or touching, or empty: %v", holes)
			}
			end = h[0] + h[1]
		}
		if src.Available() != size-held || len(holes) > len(blocks)+1 {
			t.Fatalf("%d blocks of %d bytes leave %d in %v", len(blocks), held, src.Available(), holes)
		}
	}
	for _, block := range blocks {
		require.NoError(t, src.Release(block))
	}
	assert.Equal(t, [][2]int{{0, size}}, src.Holes())
	whole, err := src.Acquire(size, 0)
	require.NoError(t, err)
	assert.Len(t, whole, size)
}

// An allocator that doubles its blocks and halves them when refused gets more than 99 %
// of a buffer, wherever the buffer begins.
func TestBufferIsUsedUp(t *testing.T) {
	const size = 16 << 20
	src := blocksrc.NewBuffer(make([]byte, size+5)[5:])
	held := 0
	for want := 64 << 10; want >= 4<<10; {
		block, err := src.Acquire(want, 16)
		if err != nil {
			want /= 2
			continue
		}
		held += len(block)
		want = min(2*want, 4<<20)
	}
	assert.Greater(t, held, size/100*99)
	assert.Equal(t, src.Available(), src.Largest(), "what is left is in one piece")
}

func TestBufferTooSmallForABlock(t *testing.T) {
	aligned := make([]byte, 64)
	for _, buf := range [][]byte{nil, {}, aligned[:15], aligned[1:16], aligned[8:8], aligned[3:18]} {
		src := blocksrc.NewBuffer(buf)
		_, err := src.Acquire(1, 0)
		require.ErrorIs(t, err, blocksrc.ErrExhausted)
		assert.Zero(t, src.Available())
		assert.Zero(t, src.Largest())
		assert.ErrorIs(t, src.Release(buf), blocksrc.ErrNotHeld)
	}
}

func TestBufferWritesNothing(t *testing.T) {
	buf := make([]byte, 4096)
	for i := range buf {
		buf[i] = byte(i)
	}
	src := blocksrc.NewBuffer(buf)
	a, err := src.Acquire(100, 64)
	require.NoError(t, err)
	b, err := src.Acquire(1000, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(a))
	require.NoError(t, src.Release(b))
	for i := range buf {
		require.Equal(t, byte(i), buf[i])
	}
	assert.False(t, blocksrc.Zeroed(src))
}

func TestBufferSaysWhatIsLeft(t *testing.T) {
	src := buffer(4096)
	a, err := src.Acquire(1000, 0)
	require.NoError(t, err)
	_, err = src.Acquire(1000, 0)
	require.NoError(t, err)
	require.NoError(t, src.Release(a))
	assert.Equal(t, 4096-1008, src.Available())
	assert.Equal(t, 4096-2016, src.Largest(), "the last")
	b, err := src.Acquire(2080, 0)
	require.NoError(t, err)
	assert.Equal(t, 1008, src.Largest(), "the first")
	require.NoError(t, src.Release(b))
	_, err = src.Acquire(3000, 32)
	assert.EqualError(t, err, "blocksrc: buffer of 4096 bytes, 3088 free, largest hole 2080, asked for 3000 at a multiple of 32: source exhausted")
	for _, r := range [][2]int{{math.MaxInt, 0}, {1, math.MaxInt/2 + 1}} {
		_, err = src.Acquire(r[0], r[1])
		assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	}
}

// A buffer's figures may be read while others use it. (For the race detector.)
func TestBufferFiguresWhileInUse(t *testing.T) {
	src := buffer(1 << 16)
	var done sync.WaitGroup
	for id := range 3 {
		done.Add(1)
		go func() {
			defer done.Done()
			for range 200 {
				if id == 0 {
					assert.LessOrEqual(t, src.Available(), 1<<16)
					assert.LessOrEqual(t, src.Largest(), 1<<16)
					continue
				}
				block, err := src.Acquire(1000, 0)
				if assert.NoError(t, err) {
					assert.NoError(t, src.Release(block))
				}
			}
		}()
	}
	done.Wait()
}

// A size that overflows when rounded up, or barely does not, is beyond a buffer for ever.
func TestBeyondABuffer(t *testing.T) {
	for _, size := range []int{math.MaxInt, math.MaxInt - 14, math.MaxInt - 15} {
		_, err := buffer(1024).Acquire(size, 0)
		assert.ErrorIs(t, err, blocksrc.ErrExhausted, size)
		assert.ErrorIs(t, err, blocksrc.ErrInvalid, size)
	}
}

// So is an alignment that leaves too little behind the first multiple of it.
func TestAlignedBeyondABuffer(t *testing.T) {
	buf := make([]byte, 1024)
	skip := int((64 - uintptr(unsafe.Pointer(unsafe.SliceData(buf)))) & 255)
	src := blocksrc.NewBuffer(buf[skip : skip+128]) // from 64 to 192 behind a multiple of 256
	_, err := src.Acquire(80, 128)
	assert.ErrorIs(t, err, blocksrc.ErrInvalid)
	_, err = src.Acquire(64, 256)
	assert.ErrorIs(t, err, blocksrc.ErrInvalid)
	block, err := src.Acquire(64, 128)
	require.NoError(t, err)
	_, err = src.Acquire(64, 128)
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.NotErrorIs(t, err, blocksrc.ErrInvalid, "there is room when the block is back")
	require.NoError(t, src.Release(block))
}
