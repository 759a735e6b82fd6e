//go:build slabcheck

package arena

// poisons says that what a region frees is filled, as package slab fills what it frees.
const poisons = true
