//go:build !race

package arena

// looksAhead says that loops read objects before they come to them; see iterate.go.
const looksAhead = true
