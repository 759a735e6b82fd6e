//go:build !unix

package main

import "time"

// processCPU is the CPU time that this process has used.
func processCPU() time.Duration { return estimatedCPU() }
