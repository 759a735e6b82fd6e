//go:build !race

// The race detector is off.

package blocksrc

const raceDetector = false
