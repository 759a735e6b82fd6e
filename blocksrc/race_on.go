//go:build race

// The race detector is on.

package blocksrc

const raceDetector = true
