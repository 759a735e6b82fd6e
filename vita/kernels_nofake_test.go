//go:build !(vita && vitafake && cgo)

package vita_test

func nativeKernels() []testKernel { return nil }
