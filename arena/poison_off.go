//go:build !slabcheck

package arena

const poisons = false
