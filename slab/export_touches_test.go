//go:build slabcheck

package slab

// Touches returns how many records were visited since the last call.
func Touches() int {
	n := touches
	touches = 0
	return n
}

// RegionTouches returns how many places of the address map are visited, at most, to
// find one of the regions of these addresses when all are there.
func RegionTouches(addrs []uintptr) (most int) {
	var m addrMap
	m.init()
	for _, addr := range addrs {
		m.insert(region{key: keyOf(addr)})
	}
	for _, addr := range addrs {
		Touches()
		if r := m.find(addr); r == nil || r.key != keyOf(addr) {
			panic("a region is not found")
		}
		most = max(most, Touches())
	}
	return most
}
