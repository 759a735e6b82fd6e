//go:build vita && vitafake && cgo

package vita

// FakeLimits sets the budgets of the fake kernel, FakeLive counts its blocks.
var (
	FakeLimits = fakeLimits
	FakeLive   = fakeLive
)
