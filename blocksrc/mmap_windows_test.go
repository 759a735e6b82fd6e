//go:build !tinygo && !vita

package blocksrc_test

// A reservation is freed whole or not at all.
const canTrim = false
