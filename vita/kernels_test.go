package vita_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vita-go/deblockator/vita"
)

// A testKernel is one of the kernels of this build, new and with small budgets.
type testKernel struct {
	name    string
	profile vita.Profile
	vita.Kernel
	live func() int
}

// Budgets of those kernels.
const (
	testUser    = 8 << 20
	testCDRAM   = 4 << 20
	testPhycont = 8 << 20
)

func testConsole(p vita.Profile) vita.Console {
	return vita.Console{Profile: p, User: testUser, CDRAM: testCDRAM, Phycont: testPhycont, Tool: 1 << 20, Heap: -1}
}

// eachKernel runs test on every kernel and checks that no block is left.
func eachKernel(t *testing.T, test func(t *testing.T, k testKernel)) {
	sims := map[string]vita.Console{"sim": testConsole(vita.Hardware), "sim as Vita3K": testConsole(vita.Vita3K)}
	reuse := testConsole(vita.Hardware)
	reuse.ReuseUID = true
	sims["sim that reuses UIDs"] = reuse
	var all []testKernel
	for name, c := range sims {
		s := vita.NewSim(c)
		all = append(all, testKernel{name, c.Profile, s, func() int { return len(s.Blocks()) }})
	}
	for _, k := range append(all, nativeKernels()...) {
		t.Run(k.name, func(t *testing.T) {
			test(t, k)
			assert.Zero(t, k.live(), "blocks left")
		})
	}
}

// types are all types that a program can allocate.
var types = []vita.MemType{
	vita.UserRW, vita.UserNCRW, vita.UserR, vita.UserDeviceRW, vita.GameRW, vita.PhycontRW, vita.PhycontNCRW,
	vita.CDRAMRW, vita.CDRAMR, vita.CDRAML1RW, vita.MainCDialogRW, vita.MainCDialogNCRW, vita.CDialogRW,
	vita.CDialogR, vita.CDialogNCRW, vita.CDialogNCR, vita.ToolRW, vita.ToolNCRW,
}
