package slab_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// A picture shows a block, letter by letter: _ is a hole, every run of another letter
// an allocation. Two pictures show what was done between them: F is freed, and L gets
// another size or, if it was not there, is allocated.
const letter = 2 << 10 // bytes: the least power of two that no slab serves

var pictures = []struct {
	name, before, after string
	align               int // of a new L, in letters
}{
	// The pictures in the comments of heap_hole.go.
	{"release, no hole", "xxxxFFFFxxxx", "xxxx____xxxx", 0},
	{"release, hole before", "____FFFFxxxx", "________xxxx", 0},
	{"release, hole behind", "xxxxFFFF____", "xxxx________", 0},
	{"release, both", "____FFFF____", "____________", 0},
	{"cut, live behind", "LLLLLLLLLLLLxxxx", "LLLLLLLL____xxxx", 0},
	{"cut, hole behind", "LLLLLLLL____xxxx", "LLLL________xxxx", 0},
	{"extend", "LLLL________xxxx", "LLLLLLLL____xxxx", 0},

	// The same at the edges of a block, where there is no neighbour.
	{"release, all of it", "FFFF", "____", 0},
	{"release at the start", "FFFFxxxx", "____xxxx", 0},
	{"release at the end", "xxxxFFFF", "xxxx____", 0},
	{"release at the start, hole behind", "FF__xxxx", "____xxxx", 0},
	{"release at the end, hole before", "xxxx__FF", "xxxx____", 0},
	{"release at the start, the rest is a hole", "FFFF____", "________", 0},
	{"release at the end, the rest is a hole", "____FFFF", "________", 0},
	{"release leaves further holes alone", "__x_FF_x__", "__x____x__", 0},
	{"release between blocks of one letter", "xFyz", "x_yz", 0},
	{"cut, all of the block", "LLLLLLLL", "LLL_____", 0},
	{"cut at the end", "xxLLLLLL", "xxL_____", 0},
	{"cut, hole behind, at the end", "xLLLL___", "xLLL____", 0},
	{"cut by one", "LLLLxxxx", "LLL_xxxx", 0},
	{"cut does not touch a hole before", "__LLLLxx", "__L___xx", 0},
	{"extend, exact", "LLLL____xxxx", "LLLLLLLLxxxx", 0},
	{"extend, exact, at the end", "xxxxLL__", "xxxxLLLL", 0},
	{"extend to all of the block", "LLL_____", "LLLLLLLL", 0},
	{"extend by one", "LLLL____", "LLLLL___", 0},
	{"extend does not touch a hole before", "__LL__xx", "__LLL_xx", 0},

	// An allocation from a hole: what is left in front and behind stays free.
	{"carve, exact", "xxx___yyy", "xxxLLLyyy", 0},
	{"carve, exact, all of the block", "____", "LLLL", 0},
	{"carve, rest behind", "xxx_____yyy", "xxxLL___yyy", 0},
	{"carve, rest on both sides", "x_______yyyy", "x___LL__yyyy", 4},
	{"carve, aligned at once", "xxxx________", "xxxxLL______", 4},
	{"carve, aligned, at the start of a block", "_______xxxxx", "LLL____xxxxx", 4},
	{"carve, the hole that fits best", "x______y__z", "x______yLLz", 0},
	{"carve, the hole that is aligned", "x__xxxxxx__x________", "x__xxxxxx__xLL______", 4},
}

// picture is an allocator on one block, and its allocations by letter.
type picture struct {
	*slab.Allocator
	live map[byte][]byte
}

// draw allocates every run of before, from first to last, and then frees the holes.
func draw(t *testing.T, before string) *picture {
	t.Helper()
	a, err := slab.New(slab.Config{
		Source: &blocksrc.GoHeap{}, BlockSize: max(len(before)*letter, 4<<10), BlockAlign: 64 << 10,
		MaxBlockSize: 1 << 20, LargeSize: 1 << 20,
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, a.Close()) })
	p := &picture{a, map[byte][]byte{}}
	var holes [][]byte
	for from := 0; from < len(before); {
		to := from
		for to < len(before) && before[to] == before[from] {
			to++
		}
		b, err := a.AllocUninitialized((to-from)*letter, 1)
		require.NoError(t, err)
		if before[from] == '_' {
			holes = append(holes, b)
		} else {
			p.live[before[from]] = b
		}
		from = to
	}
	// If a letter has several runs, only the last can be freed or resized.
	for _, b := range holes {
		a.Free(b)
	}
	require.Equal(t, before, p.draw(t, before), "the picture itself")
	return p
}

// draw renders the block with the letters that were at the same places before, and with
// those of the allocations that the picture knows.
func (p *picture) draw(t *testing.T, before string) string {
	t.Helper()
	blocks := slices.Collect(p.Blocks())
	require.Len(t, blocks, 1)
	require.Equal(t, len(before)*letter, blocks[0].Size)
	s := []byte{}
	for c := range blocks[0].Chunks() {
		require.Zero(t, c.Offset%letter)
		require.Zero(t, c.Size%letter)
		require.Equal(t, len(s)*letter, c.Offset, "chunks leave out nothing")
		fill := byte('?')
		switch at := c.Offset / letter; {
		case c.Kind == slab.ChunkHole:
			fill = '_'
		case before[at] != '_':
			fill = before[at]
		}
		for name, b := range p.live {
			if startOf(b) == blocks[0].Addr+uintptr(c.Offset) {
				fill = name
			}
		}
		if s = append(s, strings.Repeat(string(fill), c.Size/letter)...); len(s) > len(before) {
			break
		}
	}
	return string(s)
}

func TestPictures(t *testing.T) {
	for _, tt := range pictures {
		t.Run(tt.name, func(t *testing.T) {
			require.Len(t, tt.after, len(tt.before))
			p := draw(t, tt.before)
			size := strings.Count(tt.after, "L") * letter
			switch l, resized := p.live['L']; {
			case p.live['F'] != nil:
				p.Free(p.live['F'])
				delete(p.live, 'F')
			case resized:
				b, err := p.Realloc(l, size)
				require.NoError(t, err)
				assert.Equal(t, startOf(l), startOf(b), "it did not move")
				assert.Equal(t, size, cap(b))
				p.live['L'] = b
			default:
				b, err := p.AllocUninitialized(size, tt.align*letter)
				require.NoError(t, err)
				p.live['L'] = b
			}
			assert.Equal(t, tt.after, p.draw(t, tt.before))
			assert.NoError(t, p.Check())
			assert.Equal(t, strings.Count(tt.after, "_")*letter, p.Stats().HoleBytes)
			assert.Equal(t, len(holeRuns.FindAllString(tt.after, -1)), p.Stats().Holes)
		})
	}
}

var holeRuns = regexp.MustCompile(`_+`)

// Every picture in heap_hole.go is a row of the table, so that it cannot change without
// the table.
func TestPicturesOfTheSource(t *testing.T) {
	src, err := os.ReadFile("heap_hole.go")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^//\s*(before|after):(.*)$`)
	run := regexp.MustCompile(`[A-Za-z_]{4,}`)
	var before []string
	n := 0
	for _, m := range line.FindAllStringSubmatch(string(src), -1) {
		// The label of a second column is on the same line.
		cols := run.FindAllString(regexp.MustCompile(`(before|after):`).ReplaceAllString(m[2], ""), -1)
		if m[1] == "before" {
			require.Empty(t, before, "a picture has no second half before %v", cols)
			before = cols
			continue
		}
		require.Len(t, cols, len(before), "%v have no second half, or another", before)
		for i := range cols {
			n++
			assert.True(t, slices.ContainsFunc(pictures, func(row struct {
				name, before, after string
				align               int
			}) bool {
				return row.before == before[i] && row.after == cols[i]
			}), "heap_hole.go shows %s → %s, the table does not", before[i], cols[i])
		}
		before = nil
	}
	assert.Empty(t, before)
	assert.GreaterOrEqual(t, n, 7, "heap_hole.go has fewer pictures, or the test does not find them")
}
