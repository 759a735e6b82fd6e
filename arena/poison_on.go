//go:build slabcheck

package arena

// poisons says that a region fills what it frees, as package slab does.
const poisons = true
