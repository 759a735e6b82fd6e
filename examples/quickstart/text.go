package main

import "github.com/vita-go/deblockator/arena"

// text keeps the bytes of names outside the Go heap, packed one after another in chunks
// from a region. The Go heap has one slice for each chunk: a few dozen for all names of
// the Go installation.
type text struct {
	region *arena.Region
	chunks [][]byte
	used   int // of the last chunk
}

// textRef says where a name is, without pointing at it.
type textRef struct{ chunk, at, len uint32 }

// textChunk is large enough to make chunks few, and small enough that what a small index
// leaves empty does not matter.
const textChunk = 64 << 10

func (t *text) add(s string) (textRef, error) {
	if len(t.chunks) == 0 || len(s) > len(t.chunks[len(t.chunks)-1])-t.used {
		c, err := arena.MakeSlice[byte](t.region, max(len(s), textChunk))
		if err != nil {
			return textRef{}, err
		}
		t.chunks, t.used = append(t.chunks, c), 0
	}
	last := len(t.chunks) - 1
	ref := textRef{uint32(last), uint32(t.used), uint32(len(s))}
	t.used += copy(t.chunks[last][t.used:], s)
	return ref, nil
}

func (t *text) bytes(r textRef) []byte { return t.chunks[r.chunk][r.at : r.at+r.len] }
