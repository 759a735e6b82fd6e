package bench

import "math"

// What kernels must return, computed a second time without any memory to get wrong.

// Age is a Step of a Frame without the births: it returns the particles that are left, in
// the memory of live, and the sum.
func Age(live []Particle) (left []Particle, sum uint64) {
	left = live[:0]
	for _, p := range live {
		p.VY -= Gravity
		p.X += p.VX
		p.Y += p.VY
		p.Z += p.VZ
		p.Life--
		sum += p.ID ^ uint64(math.Float32bits(p.Y))
		if p.Life > 0 {
			left = append(left, p)
		}
	}
	return left, sum
}

// Looked returns what Look of a Hold must return.
func Looked(order []uint32) (sum uint64) {
	for _, i := range order {
		linked := uint64(i / 2)
		sum = 3*sum + (uint64(i) ^ linked*Mix)
	}
	return sum
}
