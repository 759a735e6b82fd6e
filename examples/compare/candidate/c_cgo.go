//go:build cgo && linux

package candidate

// #cgo CFLAGS: -O2 -Wall
// #cgo LDFLAGS: -ldl
// #include "c_kernels.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// Go passes operations and particles to C as they are, and C its objects to Go.
var (
	_ [C.sizeof_op]byte       = [unsafe.Sizeof(bench.Op{})]byte{}
	_ [C.sizeof_particle]byte = [unsafe.Sizeof(bench.Particle{})]byte{}
	_ [C.sizeof_object]byte   = [unsafe.Sizeof(held{})]byte{}
)

func (l cLibrary) kernels(c *bench.Candidate) {
	c.Kernels[bench.KindFixed] = func() bench.Kernel { return &cFixed{cKernel: cKernel{lib: l}} }
	c.Kernels[bench.KindMixed] = func() bench.Kernel {
		m := &cMixed{cKernel: cKernel{lib: l}}
		before := anonymous()
		held := l.held() // loads the library
		switch {
		case held == nil:
			return m
		case l.which == cJemalloc:
			return &cMixedBounder{cMixedHolder{m, held}, max(0, anonymous()-before)}
		}
		return &cMixedHolder{m, held}
	}
	c.Kernels[bench.KindTreesFree] = func() bench.Kernel { return &cTreesFree{cTrees{cKernel: cKernel{lib: l}}} }
	if l.which != cMalloc {
		c.Kernels[bench.KindTreesBulk] = func() bench.Kernel { return &cTreesBulk{cTrees: cTrees{cKernel: cKernel{lib: l}}} }
	}
	c.Kernels[bench.KindFrame] = func() bench.Kernel { return &cFrame{cKernel: cKernel{lib: l}} }
	c.Kernels[bench.KindHold] = func() bench.Kernel { return &cHold{cKernel: cKernel{lib: l}} }
}

// load finds the functions of a library, or says why it cannot be used.
func (l cLibrary) load(a *C.allocator) (reason string) {
	var err *C.char
	file := append([]byte(l.file), 0)
	switch l.which {
	case cMalloc:
		err = C.load_malloc(a)
	case cMimalloc:
		err = C.load_mimalloc(a, (*C.char)(unsafe.Pointer(&file[0])))
	case cJemalloc:
		err = C.load_jemalloc(a, (*C.char)(unsafe.Pointer(&file[0])))
	}
	if err == nil {
		return ""
	}
	return l.explain(C.GoString(err))
}

// noRoom is in the dynamic linker's complaint about a process that was started without
// the candidate's Env.
const noRoom = "static TLS"

// explain says what a message of the dynamic linker means to the reader of a table.
func (l cLibrary) explain(message string) string {
	switch {
	case strings.Contains(message, l.file+": ") && strings.Contains(message, "No such file"):
		return fmt.Sprintf("%s not found (Debian: %s)", l.file, l.debian)
	case strings.Contains(message, noRoom):
		return fmt.Sprintf("no room for the %s of %s in this process", noRoom, l.file)
	}
	return message
}

// missing is called before the process with the candidate's Env starts, so it ignores
// noRoom.
func (l cLibrary) missing() string {
	var a C.allocator
	if reason := l.load(&a); !strings.Contains(reason, noRoom) {
		return reason
	}
	return ""
}

// held returns a function that tells what the library holds, or nil if there is no way
// to know.
func (l cLibrary) held() func() int64 {
	var a C.allocator
	switch {
	case l.load(&a) != "":
		return nil
	case l.which == cMimalloc:
		at := uint64(C.alloc_probe(&a))
		if at < mimallocFrom || at >= mimallocTo {
			return nil
		}
		var s smaps
		return func() int64 { return s.in(at-mimallocNear, at+mimallocNear) }
	case a.held == nil:
		return nil
	}
	return func() int64 { return int64(C.alloc_held(&a)) }
}

var errNoMemory = errors.New("no memory")

// cKernel is an opened library. These allocators have per-thread caches and are slow to
// free what another thread allocated, so a kernel stays on its thread.
type cKernel struct {
	lib cLibrary
	a   *C.allocator
}

func (k *cKernel) open() error {
	var a C.allocator
	if reason := k.lib.load(&a); reason != "" {
		return bench.Cannot(reason)
	}
	runtime.LockOSThread()
	k.a = &a
	return nil
}

// Version is "" if the library does not say.
func (k *cKernel) Version() string {
	var text [64]C.char
	C.alloc_version(k.a, &text[0], C.size_t(len(text)))
	return C.GoString(&text[0])
}

// close may be called by a kernel that has already left its thread.
func (k *cKernel) close() { runtime.UnlockOSThread() }

// addresses are those of objects, as integers: the collector need not look at them.
type addresses []C.uintptr_t

// ptr returns the address of the first element of a slice, which may be empty.
func ptr[T any](s []T) *T { return unsafe.SliceData(s) }

func (k *cKernel) release(at addresses) { C.release_all(k.a, ptr(at), C.size_t(len(at))) }

// result converts what a kernel in C returned.
func result(o C.outcome) (sum uint64, err error) {
	if o.failed != 0 {
		return 0, errNoMemory
	}
	return uint64(o.sum), nil
}

type cFixed struct {
	cKernel
	size C.size_t
	at   addresses
}

func (f *cFixed) Open(size, live int) error {
	if err := f.open(); err != nil {
		return err
	}
	f.size, f.at = C.size_t(size), make(addresses, live)
	if C.fixed_open(f.a, ptr(f.at), C.size_t(live), f.size) != 0 {
		return errors.Join(errNoMemory, f.Close())
	}
	return nil
}

func (f *cFixed) Replace(order []uint32, stamp uint64) (sum uint64, err error) {
	return result(C.fixed_replace(f.a, ptr(f.at), f.size,
		(*C.uint32_t)(ptr(order)), C.size_t(len(order)), C.uint64_t(stamp)))
}

func (f *cFixed) Close() error {
	f.release(f.at)
	f.close()
	return nil
}

type cMixed struct {
	cKernel
	slots []C.slot
	lines C.int
}

func (m *cMixed) Open(slots, _ int, touch bench.Touch) error {
	if err := m.open(); err != nil {
		return err
	}
	m.slots, m.lines = make([]C.slot, slots), 0
	clear(m.slots) // resident now, so that they do not count as the library's later
	if touch == bench.Lines {
		m.lines = 1
	}
	return nil
}

func (m *cMixed) Run(ops []bench.Op, stamp uint64) (sum uint64, err error) {
	return result(C.mixed_run(m.a, ptr(m.slots), m.lines,
		(*C.op)(unsafe.Pointer(ptr(ops))), C.size_t(len(ops)), C.uint64_t(stamp)))
}

func (m *cMixed) Trim() { C.alloc_trim(m.a) }

func (m *cMixed) Close() error {
	C.mixed_close(m.a, ptr(m.slots), C.size_t(len(m.slots)))
	m.close()
	return nil
}

// cMixedHolder is cMixed of a library for which held returned a function.
type cMixedHolder struct {
	*cMixed
	held func() int64
}

func (m *cMixedHolder) Held() int64 { return m.held() }

// cMixedBounder is cMixedHolder of jemalloc, whose stats.resident is, in the words of its
// manual, a maximum: when there are only its records, it counts 2.6 MB of them, of which
// 0.3 have been touched. Its mappings cannot be found from outside, as the kernel places
// them next to those of others.
type cMixedBounder struct {
	cMixedHolder
	began int64
}

func (m *cMixedBounder) Began() int64 { return m.began }

// cTrees is what trees have in common, however they are freed.
type cTrees struct {
	cKernel
	kept C.uintptr_t
}

func (t *cTrees) Open() error  { return t.open() }
func (t *cTrees) Kept() uint64 { return uint64(C.tree_count(t.kept)) }

// whole checks that no node is missing because its allocation was refused.
func whole(nodes C.uint64_t, depth, trees int) (uint64, error) {
	if n := uint64(trees) * (2<<depth - 1); n != uint64(nodes) {
		return 0, errNoMemory
	}
	return uint64(nodes), nil
}

type cTreesFree struct{ cTrees }

func (t *cTreesFree) Keep(depth int) error {
	t.kept = C.tree_grow(t.a, C.int(depth))
	_, err := whole(C.tree_count(t.kept), depth, 1)
	return err
}

func (t *cTreesFree) Churn(depth, trees int) (nodes uint64, err error) {
	return whole(C.trees_free(t.a, C.int(depth), C.int(trees)), depth, trees)
}

func (t *cTreesFree) Close() error {
	C.tree_drop(t.a, t.kept)
	t.close()
	return nil
}

type cTreesBulk struct {
	cTrees
	keep, churn unsafe.Pointer // heaps
}

func (t *cTreesBulk) Open() error {
	if err := t.open(); err != nil {
		return err
	}
	t.keep, t.churn = C.alloc_heap_open(t.a), C.alloc_heap_open(t.a)
	if t.keep == nil || t.churn == nil {
		return errors.Join(errNoMemory, t.Close())
	}
	return nil
}

func (t *cTreesBulk) Keep(depth int) error {
	t.kept = C.tree_grow_in(t.a, t.keep, C.int(depth))
	_, err := whole(C.tree_count(t.kept), depth, 1)
	return err
}

func (t *cTreesBulk) Churn(depth, trees int) (nodes uint64, err error) {
	return whole(C.trees_bulk(t.a, &t.churn, C.int(depth), C.int(trees)), depth, trees)
}

func (t *cTreesBulk) Close() error {
	C.alloc_heap_close(t.a, t.keep)
	C.alloc_heap_close(t.a, t.churn)
	t.close()
	return nil
}

type cFrame struct {
	cKernel
	at addresses // room for more than n
	n  C.size_t
}

func (f *cFrame) Open(first []bench.Particle) error {
	if err := f.open(); err != nil {
		return err
	}
	if _, err := f.Step(first); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

func (f *cFrame) Step(born []bench.Particle) (sum uint64, err error) {
	if need := int(f.n) + len(born); need > len(f.at) {
		f.at = append(f.at, make(addresses, need-len(f.at)+need/4)...)
	}
	return result(C.frame_step(f.a, ptr(f.at), &f.n,
		(*C.particle)(unsafe.Pointer(ptr(born))), C.size_t(len(born))))
}

func (f *cFrame) Len() int { return int(f.n) }

func (f *cFrame) Close() error {
	f.release(f.at[:f.n])
	f.close()
	return nil
}

// cHold makes and frees its objects in C and looks at them in Go: a request has only four
// looks, so a call to C would be most of its time.
type cHold struct {
	cKernel
	table addresses
	at    []*held // the same memory
}

func (h *cHold) Open(n int) error {
	if err := h.open(); err != nil {
		return err
	}
	h.table = make(addresses, n)
	h.at = hiddenTable(h.table)
	if C.hold_open(h.a, ptr(h.table), C.size_t(n)) != 0 {
		return errors.Join(errNoMemory, h.Close())
	}
	// A goroutine locked to its thread resumes a few milliseconds later when it had to
	// yield, which would be the worst request. Nothing is freed until Close.
	runtime.UnlockOSThread()
	return nil
}

func (h *cHold) Look(order []uint32) (sum uint64) {
	at := h.at
	for _, i := range order {
		p := at[i]
		sum = 3*sum + (p.id ^ p.link.value)
	}
	return sum
}

func (h *cHold) Close() error {
	h.release(h.table)
	h.close()
	return nil
}
