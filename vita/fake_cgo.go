//go:build vita && vitafake && cgo

// Access to the fake kernel for tests, which cannot use cgo themselves.

package vita

// #include "fake_sysmem.h"
import "C"

// fakeLimits sets the budgets of the fake kernel in bytes.
func fakeLimits(user, cdram, phycont int) {
	C.fake_limits(C.int64_t(user), C.int64_t(cdram), C.int64_t(phycont))
}

// fakeLive returns how many blocks of the fake kernel are live.
func fakeLive() int { return int(C.fake_live()) }
