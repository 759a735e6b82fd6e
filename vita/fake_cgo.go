//go:build vita && vitafake && cgo

// The way from tests to the fake kernel: they cannot use cgo themselves.

package vita

// #include "fake_sysmem.h"
import "C"

// fakeLimits sets the budgets of the fake kernel in bytes.
func fakeLimits(user, cdram, phycont int) {
	C.fake_limits(C.int64_t(user), C.int64_t(cdram), C.int64_t(phycont))
}

// fakeLive is how many blocks the fake kernel has out.
func fakeLive() int { return int(C.fake_live()) }
