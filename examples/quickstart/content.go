package main

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// content is what an index says, to compare two of them.
type content struct {
	Parsed   parsed
	Objects  int
	Names    int
	Places   int
	Checksum string // of all names and places
	Most     []top
	Answers  uint32 // checksum of the answers to the queries
}

// top is one of the names that occur most.
type top struct {
	Name  string
	Count int
	First string // place
}

// read reads the whole index, and returns the names to query: each in proportion to its
// number of places, since people look for frequent names more often.
func (c *content) read(ix index, t *tree) (queries []string) {
	type entry struct {
		name  string
		count int
	}
	var all []entry
	for name, count := range ix.names() {
		all = append(all, entry{name, count})
		c.Places += count
	}
	c.Names, c.Objects = len(all), ix.objects()
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.name, b.name) })

	const wanted = 1000
	sum := sha256.New()
	w := bufio.NewWriter(sum) // a hash never fails, and so neither does w
	var record [11]byte
	passed := 0
	for _, e := range all {
		_, _ = fmt.Fprintf(w, "%s %d\n", e.name, e.count)
		for p := range ix.find(e.name) {
			binary.LittleEndian.PutUint32(record[0:], p.File)
			binary.LittleEndian.PutUint32(record[4:], p.Line)
			binary.LittleEndian.PutUint16(record[8:], p.Col)
			record[10] = byte(p.Kind)
			_, _ = w.Write(record[:])
		}
		passed += e.count
		for int64(len(queries))*int64(c.Places) < wanted*int64(passed) {
			queries = append(queries, e.name)
		}
	}
	_ = w.Flush()
	c.Checksum = fmt.Sprintf("%x", sum.Sum(nil)[:8])
	if len(queries) == 0 {
		queries = []string{"nothing"} // which is found nowhere
	}

	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.count, a.count) })
	for _, e := range all[:min(3, len(all))] {
		var first place
		for first = range ix.find(e.name) { // the last of the chain
		}
		c.Most = append(c.Most, top{e.name, e.count, t.at(first)})
	}
	return queries
}
