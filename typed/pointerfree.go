package typed

// PointerFree constrains type parameters whose values live outside the Go heap:
//
//	type Pool[T typed.PointerFree] struct{ … }
//
// It carries the rule by its name only. The compiler accepts every type; [Check]
// refuses those that hold Go pointers.
type PointerFree any
