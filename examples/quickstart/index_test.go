package main

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// indexes returns one of each kind, and one with an arena in which many names
// have the same hash.
func indexes(t *testing.T) map[string]index {
	t.Helper()
	all := map[string]index{}
	for _, which := range []string{withPointers, withArena} {
		ix, err := newIndex(which)
		require.NoError(t, err)
		all[which] = ix
	}
	crowded, err := newArenaIndex(slab.Config{})
	require.NoError(t, err)
	crowded.hash = func(s string) uint64 { return uint64(len(s) % 3) }
	all["arena, bad hash"] = crowded
	for _, ix := range all {
		t.Cleanup(func() { require.NoError(t, ix.close()) })
	}
	return all
}

func TestIndexesAgainstModel(t *testing.T) {
	names := []string{"x", "X", "_", "Größe", "世界", "a\x00b", strings.Repeat("long", textChunk), strings.Repeat("n", textChunk-1)}
	for range 200 {
		names = append(names, strings.Repeat("y", rand.IntN(300)))
	}
	all, model := indexes(t), map[string][]place{}
	for i := range 5000 {
		name := names[rand.IntN(len(names))]
		p := place{File: rand.Uint32(), Line: uint32(i), Col: uint16(i), Kind: kind(i % 5)}
		model[name] = append(model[name], p)
		for _, ix := range all {
			require.NoError(t, ix.add(name, p))
		}
	}
	counts := map[string]int{}
	for name, places := range model {
		slices.Reverse(places)
		counts[name] = len(places)
	}
	for which, ix := range all {
		t.Run(which, func(t *testing.T) {
			assert.Equal(t, counts, maps.Collect(ix.names()))
			assert.Equal(t, len(model)+5000, ix.objects())
			for name, places := range model {
				assert.Equal(t, places, slices.Collect(ix.find(name)))
				for p := range ix.find(name) { // and stop
					assert.Equal(t, places[0], p)
					break
				}
			}
			for _, name := range []string{"absent", "z", "Y", strings.Repeat("y", 301)} {
				assert.Empty(t, slices.Collect(ix.find(name)))
			}
			n := 0
			for range ix.names() {
				n++
				break
			}
			assert.Equal(t, 1, n)
		})
	}
}

func TestArenaIndexWithoutMemory(t *testing.T) {
	ix, err := newArenaIndex(slab.Config{Source: blocksrc.Limit(blocksrc.Default(), 1<<20)})
	require.NoError(t, err)
	added := 0
	for err == nil {
		if err = ix.add("x", place{Line: uint32(added)}); err == nil {
			added++
		}
	}
	assert.ErrorIs(t, err, blocksrc.ErrExhausted)
	assert.Greater(t, added, 10_000)
	assert.Len(t, slices.Collect(ix.find("x")), added, "what was there is there")
	require.NoError(t, ix.close())
	assert.Zero(t, ix.mem.Stats().Held)
}

func TestUnknownIndex(t *testing.T) {
	_, err := newIndex("heap")
	assert.ErrorContains(t, err, `"heap"`)
}

// parseText returns what is found in a file with this text, as "place kind name".
func parseText(t *testing.T, text string) (found []string, done parsed) {
	t.Helper()
	tr, err := openTree(folder(t, map[string]string{"a.go": text}))
	require.NoError(t, err)
	require.NoError(t, tr.parse(0, &done, func(name string, p place) error {
		found = append(found, tr.at(p)+" "+p.Kind.String()+" "+name)
		return nil
	}))
	return found, done
}

func TestParse(t *testing.T) {
	text := `package p

type T struct{ f int }

func (t *T) m() (n int) {
	for i, j := range t.f {
		n, k := i, j
	}
	const c = 1
//line other.go:100
	x.y = c
}
`
	found, done := parseText(t, text)
	assert.Equal(t, parsed{Files: 1, Bytes: int64(len(text))}, done)
	assert.Equal(t, []string{
		"a.go:1:9 use p",
		"a.go:3:6 type T", "a.go:3:16 field f", "a.go:3:18 use int",
		"a.go:5:7 field t", "a.go:5:10 use T", "a.go:5:13 function m", "a.go:5:18 field n", "a.go:5:20 use int",
		"a.go:6:6 variable i", "a.go:6:9 variable j", "a.go:6:20 use t", "a.go:6:22 use f",
		"a.go:7:3 variable n", "a.go:7:6 variable k", "a.go:7:11 use i", "a.go:7:14 use j",
		"a.go:9:8 variable c",
		"a.go:11:2 use x", "a.go:11:4 use y", "a.go:11:8 use c",
	}, found)
}

func TestParseFarRight(t *testing.T) {
	found, _ := parseText(t, "package p; /*"+strings.Repeat(" ", 1<<17)+"*/ var x int")
	assert.Equal(t, []string{"a.go:1:9 use p", "a.go:1:65535 variable x", "a.go:1:65535 use int"}, found)
}

// An identifier that the parser makes up for a missing one is not in the index.
func TestParseInventsNothing(t *testing.T) {
	for _, text := range []string{"package", "package p; func", "package p; var = 1", "package p; type struct{", "package p; x.", "\xef\xbb\xbf", "package p; func f() { a. }"} {
		found, done := parseText(t, text)
		for _, f := range found {
			name := f[strings.LastIndexByte(f, ' ')+1:]
			assert.Contains(t, text, name)
		}
		assert.Equal(t, 1, done.Broken, text)
	}
}

func TestParseStopsAtError(t *testing.T) {
	tr, err := openTree(folder(t, map[string]string{"a.go": addGo}))
	require.NoError(t, err)
	full, calls := errors.New("full"), 0
	err = tr.parse(0, new(parsed), func(string, place) error {
		if calls++; calls == 3 {
			return full
		}
		return nil
	})
	assert.ErrorIs(t, err, full)
	assert.Equal(t, 3, calls)
}
