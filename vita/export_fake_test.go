//go:build vita && vitafake && cgo

package vita

// FakeLimits sets the budgets of the fake kernel, and FakeLive counts its live blocks.
var (
	FakeLimits = fakeLimits
	FakeLive   = fakeLive
)
