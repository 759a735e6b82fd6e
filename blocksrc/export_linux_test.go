//go:build !tinygo && !vita

package blocksrc

// The parts of naming a mapping that fail silently.
var (
	NameMapping = nameMapping
	KernelName  = kernelName
)

const HugePage = hugePage
