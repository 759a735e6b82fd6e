package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBuckets(t *testing.T) {
	last := -1
	for n := range uint64(100_000) {
		b := bucket(n)
		assert.True(t, b == last || b == last+1 && (n == 0 || upTo(last) == n-1), "%d", n)
		last = b
	}
	for _, n := range []uint64{1 << 40, 1<<40 + 1<<35, math.MaxInt64} {
		assert.GreaterOrEqual(t, upTo(bucket(n)), n)
		assert.LessOrEqual(t, upTo(bucket(n))-n, n/16)
	}
	assert.Equal(t, uint64(math.MaxInt64), upTo(bucket(math.MaxInt64)))
}

func TestLatencies(t *testing.T) {
	var l latencies
	assert.Zero(t, l.exceeded(0))
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(rand.Int64N(1 << rand.IntN(40)))
		l.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	assert.Equal(t, all[9_999], l.most)
	assert.Equal(t, l.most, l.exceeded(0))
	for _, n := range []int{1, 10, 100, 5_000, 9_999} {
		exact, got := all[9_999-n], l.exceeded(n)
		assert.GreaterOrEqual(t, got, exact, n)
		assert.LessOrEqual(t, got, exact+exact/16+1, n)
	}
	assert.Zero(t, l.exceeded(10_000))
}
