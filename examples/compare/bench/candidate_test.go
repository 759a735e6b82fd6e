package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

type nothing struct{}

func (nothing) Close() error { return nil }

// A registered kind gives older candidates a reason, and a candidate has either a kernel of
// a kind or a reason.
func TestKinds(t *testing.T) {
	defer func(kinds []Kind) { Kinds = kinds }(Kinds)
	c := &Candidate{
		Name: "test", About: "for tests", Colour: "#000000", Kernels: Kernels{KindFixed: func() Kernel { return nothing{} }},
		Lacks: LacksAll("for tests", KindMixed, KindFit, KindTreesFree, KindTreesBulk, KindFrame, KindHold, KindECS),
	}
	assert.NoError(t, c.Check())
	assert.NotNil(t, c.New(KindFixed))
	assert.Nil(t, c.New(KindMixed))

	kind := RegisterKind("test-cache", "no cache was made with it")
	assert.NoError(t, c.Check())
	assert.Nil(t, c.New(kind))
	assert.Equal(t, "no cache was made with it", c.Why(kind))
	c.Lacks[kind] = "it forgets nothing"
	assert.Equal(t, "it forgets nothing", c.Why(kind))
	c.Kernels[kind] = c.Kernels[KindFixed]
	assert.Error(t, c.Check(), "a kernel, and a reason why not")
	delete(c.Lacks, kind)
	assert.NoError(t, c.Check())
	assert.NotNil(t, c.New(kind))
	delete(c.Lacks, KindMixed)
	assert.Error(t, c.Check(), "neither")

	assert.Panics(t, func() { RegisterKind(kind, "again") })
	assert.Panics(t, func() { RegisterKind("test-other", "") })
	assert.Panics(t, func() { RegisterWorkload(&Workload{Name: "test", Kind: "test-other"}) })
}
