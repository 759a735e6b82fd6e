//go:build cgo && carchive

package main

import "C"

import (
	"fmt"
	"os"
)

// VitaGame plays frames of the game, or all ten minutes if frames is 0, and returns the exit
// status that the program would have had. C calls it when this package is built as an
// archive.
//
//export VitaGame
func VitaGame(frames C.int) C.int {
	if frames == 0 {
		frames = defaultFrames
	}
	if frames < 0 || frames > maxFrames {
		fmt.Fprintf(os.Stderr, "vita: %d frames are not from 1 to %d, or 0 for all\n", frames, maxFrames)
		return statusUsage
	}
	return C.int(play(options{frames: int(frames), budget: defaultBudget * mib}, os.Stdout, os.Stderr))
}
