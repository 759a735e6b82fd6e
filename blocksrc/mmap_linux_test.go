//go:build !tinygo && !vita

package blocksrc_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vita-go/deblockator/blocksrc"
)

// mappedWithin returns how many bytes from lo to hi are mapped, counting only mappings
// with the label if one is given.
func mappedWithin(t *testing.T, lo, hi uintptr, label string) (sum uintptr) {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to uintptr
		_, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to)
		require.NoError(t, err)
		if from, to = max(from, lo), min(to, hi); from < to && strings.HasSuffix(lines.Text(), label) {
			sum += to - from
		}
	}
	return sum
}

// addressSpace is how many bytes the process has mapped.
func addressSpace(t *testing.T) int {
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages int
	_, err = fmt.Sscan(string(statm), &pages)
	require.NoError(t, err)
	return pages * blocksrc.Page()
}

// Blocks of one page at multiples of 16 MiB cost a page each, not 16 MiB, and
// nothing once they are released.
func TestMmapTrimsBothEnds(t *testing.T) {
	const n, align, slack = 40, 16 << 20, 160 << 20 // Go's heap grows meanwhile, 64 MiB at a time
	var src blocksrc.Mmap
	before := addressSpace(t)
	var blocks [][]byte
	for range n {
		block, err := src.Acquire(1, align)
		require.NoError(t, err)
		at := blocksrc.Address(block)
		require.Equal(t, uintptr(len(block)), mappedWithin(t, at, at+uintptr(len(block)), ""))
		blocks = append(blocks, block)
	}
	assert.Less(t, addressSpace(t)-before, slack)
	for _, block := range blocks {
		at, size := blocksrc.Address(block), uintptr(len(block))
		require.NoError(t, src.Release(block))
		require.Zero(t, mappedWithin(t, at, at+size, ""))
	}
	for range 10 * n {
		block, err := src.Acquire(1<<20, align)
		require.NoError(t, err)
		require.NoError(t, src.Release(block))
	}
	assert.Less(t, addressSpace(t)-before, slack)
}

// smaps returns the kernel's entry for keyword of the mapping that block is in, or "" if
// there is none. The kernel may have joined that mapping with others.
func smaps(t *testing.T, block []byte, keyword string) string {
	all, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	within := false
	for lines := bufio.NewScanner(bytes.NewReader(all)); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			within = from <= blocksrc.Address(block) && blocksrc.Address(block) < to
		} else if said, ok := strings.CutPrefix(lines.Text(), keyword+":"); ok && within {
			return said
		}
	}
	return ""
}

// resident is the physical memory behind a block, 0 if the kernel does not say.
func resident(block []byte) int {
	page := os.Getpagesize()
	pages := make([]byte, (len(block)+page-1)/page)
	_, _, failed := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(block))), uintptr(len(block)),
		uintptr(unsafe.Pointer(unsafe.SliceData(pages))))
	if failed != 0 {
		return 0
	}
	n := 0
	for _, p := range pages {
		n += int(p & 1)
	}
	return n * page
}

func TestMmapDiscardsToZero(t *testing.T) {
	var src blocksrc.Mmap
	block, err := src.Acquire(1<<20, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Release(block)) }()
	for i := range block {
		block[i] = 0xEE
	}
	before := resident(block)
	require.NoError(t, src.Discard(block))
	if before >= len(block) { // an emulated kernel says 0
		assert.Less(t, resident(block), before-len(block)*3/4, "the memory is given back")
	}
	assert.Equal(t, -1, bytes.IndexFunc(block, func(r rune) bool { return r != 0 }))
}

// TestMmapDiscardOfLockedPages: pages that a program has locked cannot be given back piecemeal.
func TestMmapDiscardOfLockedPages(t *testing.T) {
	src := blocksrc.Mmap{}
	block, err := src.Acquire(16*os.Getpagesize(), 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Release(block)) }()
	if err := unix.Mlock(block); err != nil {
		t.Skip("may not lock memory here:", err)
	}
	block[0] = 1
	require.ErrorIs(t, src.Discard(block), errors.ErrUnsupported)
	require.Equal(t, byte(1), block[0])
	require.NoError(t, unix.Munlock(block))
	require.NoError(t, src.Discard(block))
}

// TestMmapPopulates: the pages that a part lies on become resident, those beside it do not,
// and what was written stays.
func TestMmapPopulates(t *testing.T) {
	var src blocksrc.Mmap
	page := blocksrc.Page()
	block, err := src.Acquire(256*page, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Release(block)) }()
	_ = unix.Madvise(block, unix.MADV_NOHUGEPAGE) // of any size
	block[100*page] = 42
	const none = 9999
	// A kernel before 5.14 does not know the call, and an emulated one takes any advice and
	// does nothing.
	can := unix.Madvise(block[:page], unix.MADV_POPULATE_WRITE) == nil && unix.Madvise(block, none) != nil
	before := resident(block)
	err = src.Populate(block[64*page+1 : 128*page-1])
	if can {
		require.NoError(t, err)
		assert.Equal(t, before+63*page, resident(block))
		require.NoError(t, src.Populate(block[64*page-1:64*page+1]))
		assert.Equal(t, before+64*page, resident(block))
		require.NoError(t, src.Populate(block))
		assert.GreaterOrEqual(t, resident(block), 256*page)
	} else if err != nil {
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	assert.Equal(t, byte(42), block[100*page])
	require.ErrorIs(t, src.Populate(make([]byte, page)), blocksrc.ErrNotHeld)
	require.NoError(t, src.Populate(nil))
}

func TestMmapHugePages(t *testing.T) {
	huge := func(block []byte) bool { return strings.Contains(smaps(t, block, "VmFlags"), " hg") }
	src := blocksrc.Mmap{HugePages: true}
	require.Equal(t, os.Getpagesize(), src.Granularity(), "what is small has pages like any other")

	plain, err := blocksrc.Mmap{}.Acquire(4<<20, 0)
	require.NoError(t, err)
	assert.False(t, huge(plain), "only when asked for")
	can := unix.Madvise(plain, unix.MADV_HUGEPAGE) == nil && huge(plain)
	require.NoError(t, blocksrc.Mmap{}.Release(plain))

	page := os.Getpagesize()
	for _, c := range []struct {
		size, align, wantLen, wantAlign int
		huge                            bool
	}{
		{blocksrc.HugePage, 0, blocksrc.HugePage, blocksrc.HugePage, can},
		{blocksrc.HugePage + 1, 4096, blocksrc.HugePage + page, blocksrc.HugePage, can},
		{blocksrc.HugePage, 8 << 20, blocksrc.HugePage, 8 << 20, can},
		{blocksrc.HugePage - 1, 0, blocksrc.HugePage, blocksrc.HugePage, can},
		{blocksrc.HugePage - page, 0, blocksrc.HugePage - page, page, false},
		{1, 4 << 20, page, 4 << 20, false},
	} {
		block, err := src.Acquire(c.size, c.align)
		require.NoError(t, err)
		assert.Len(t, block, c.wantLen)
		assert.Zero(t, blocksrc.Address(block)%uintptr(c.wantAlign))
		assert.Equal(t, c.huge, huge(block), "%d at %d", c.size, c.align)
		require.NoError(t, src.Release(block))
	}
}

// TestMmapHugePagesAreAWish: if there are addresses for a block but not for its alignment
// too, there is a block. The test limits the addresses of a process of its own.
func TestMmapHugePagesAreAWish(t *testing.T) {
	const env = "DEBLOCKATOR_TEST_ADDRESSES"
	if os.Getenv(env) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMmapHugePagesAreAWish$")
		cmd.Env = append(os.Environ(), env+"=few")
		out, err := cmd.CombinedOutput()
		if errors.Is(err, unix.ENOEXEC) {
			t.Skip("the processor is emulated, and that of programs that this one starts is not")
		}
		require.NoError(t, err, string(out))
		return
	}
	status, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages uint64
	_, err = fmt.Sscan(string(status), &pages)
	require.NoError(t, err)
	most := pages*uint64(os.Getpagesize()) + 400<<20
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most}))
	for size := 400 << 20; ; size -= 1 << 20 {
		block, err := blocksrc.Mmap{}.Acquire(size, 0)
		if err != nil {
			require.ErrorIs(t, err, blocksrc.ErrExhausted)
			continue
		}
		require.NoError(t, blocksrc.Mmap{}.Release(block))
		block, err = blocksrc.Mmap{HugePages: true}.Acquire(size, 0)
		if err != nil { // unless the runtime has taken some of it meanwhile
			_, err = blocksrc.Mmap{}.Acquire(size, 0)
			require.Error(t, err, "%d bytes", size)
			continue
		}
		require.NoError(t, blocksrc.Mmap{}.Release(block))
		_, err = blocksrc.Mmap{HugePages: true}.Acquire(size, 4<<20)
		if size < 400<<20 { // an emulated kernel may set no limit
			require.ErrorIs(t, err, blocksrc.ErrExhausted, "an alignment that is asked for is no wish")
		}
		return
	}
}

func TestMmapName(t *testing.T) {
	src := blocksrc.Mmap{Name: "deblockator [test]"}
	block, err := src.Acquire(100_000, 1<<20)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Release(block)) }()
	if err := blocksrc.NameMapping(block, "deblockator again"); err != nil {
		t.Skipf("this kernel names no mappings: %v", err)
	}
	require.NoError(t, blocksrc.NameMapping(block, src.Name))
	at := blocksrc.Address(block)
	assert.Equal(t, uintptr(len(block)), mappedWithin(t, at, at+uintptr(len(block)), " [anon:deblockator _test_]"))
	assert.Equal(t, uintptr(len(block)), mappedWithin(t, 0, ^uintptr(0), " [anon:deblockator _test_]"), "and nothing else")
}

func TestKernelName(t *testing.T) {
	for name, want := range map[string]string{
		"arena 1":                     "arena 1",
		"a[b]c$d`e\\f":                "a_b_c_d_e_f",
		"zero\x00tab\tdel\x7f":        "zero_tab_del_",
		"größe":                       "gr__e",
		strings.Repeat("x", 99):       strings.Repeat("x", 79),
		strings.Repeat("x", 78) + "ö": strings.Repeat("x", 78) + "_",
	} {
		assert.Equal(t, want, blocksrc.KernelName(name))
	}
}

// A part that is exactly one page, or that holds exactly one, is given back.
func TestMmapDiscardsASinglePage(t *testing.T) {
	src, page := blocksrc.Mmap{}, blocksrc.Page()
	block, err := src.Acquire(3*page, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Release(block)) }()
	for what, part := range map[string][2]int{
		"one page":                   {page, 2 * page},
		"one page and what is about": {page - 1, 2*page + 1},
		"one page and what precedes": {1, 2 * page},
	} {
		for i := range block {
			block[i] = 7
		}
		require.NoError(t, src.Discard(block[part[0]:part[1]]))
		for i := range block {
			want := byte(7)
			if i >= page && i < 2*page {
				want = 0
			}
			require.Equal(t, want, block[i], "%s, byte %d", what, i)
		}
	}
	assert.Equal(t, "~tilde!", blocksrc.KernelName("~tilde!"))
}
