//go:build vita && vitafake && cgo

package vita_test

import "github.com/vita-go/deblockator/vita"

// nativeKernels returns the binding over the fake.
func nativeKernels() []testKernel {
	k, err := vita.Native()
	if err != nil {
		panic(err)
	}
	vita.FakeLimits(testUser, testCDRAM, testPhycont)
	return []testKernel{{"native", vita.Hardware, k, vita.FakeLive}}
}
