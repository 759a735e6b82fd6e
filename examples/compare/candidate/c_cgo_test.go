//go:build cgo && linux

package candidate

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/examples/compare/bench"
)

// A library that is not there is a reason in each of its cells, not a crash.
func TestCLibraryMissing(t *testing.T) {
	for _, which := range []cAllocator{cMimalloc, cJemalloc} {
		l := cLibrary{which, "libnone.so.9", "libnone9"}
		const want = "libnone.so.9 not found (Debian: libnone9)"
		require.Equal(t, want, l.missing())
		c := l.describe(&bench.Candidate{Name: "none", About: "nothing", Colour: "#000000"})
		require.NoError(t, c.Check())
		for _, open := range []func() error{
			func() error { return c.New(bench.KindFixed).(bench.Fixed).Open(64, 1) },
			func() error { return c.New(bench.KindMixed).(bench.Mixed).Open(1, 64, bench.Ends) },
			func() error { return c.New(bench.KindTreesFree).(bench.Trees).Open() },
			func() error { return c.New(bench.KindTreesBulk).(bench.Trees).Open() },
			func() error { return c.New(bench.KindFrame).(bench.Frame).Open(nil) },
			func() error { return c.New(bench.KindHold).(bench.Hold).Open(1) },
		} {
			reason, ok := bench.CannotReason(open())
			require.True(t, ok)
			require.Equal(t, want, reason)
		}
	}
}

// A library of that name may be another one, or too old, and lack functions.
func TestCLibraryWithoutFunctions(t *testing.T) {
	l := cLibrary{cMimalloc, "libdl.so.2", "libc6"}
	if reason := l.missing(); reason != "libdl.so.2 not found (Debian: libc6)" {
		require.Contains(t, reason, "mi_malloc")
	}
}

func TestCExplainsTheLinker(t *testing.T) {
	l := cLibrary{cJemalloc, "libjemalloc.so.2", "libjemalloc2"}
	for message, want := range map[string]string{
		"libjemalloc.so.2: cannot open shared object file: No such file or directory": "libjemalloc.so.2 not found (Debian: libjemalloc2)",
		"Error loading shared library libjemalloc.so.2: No such file or directory":    "libjemalloc.so.2 not found (Debian: libjemalloc2)",
		"libstdc++.so.6: cannot open shared object file: No such file or directory":   "libstdc++.so.6: cannot open shared object file: No such file or directory",
		"/lib/libjemalloc.so.2: cannot allocate memory in static TLS block":           "no room for the static TLS of libjemalloc.so.2 in this process",
		"/lib/libjemalloc.so.2: undefined symbol: mallctl":                            "/lib/libjemalloc.so.2: undefined symbol: mallctl",
		"/lib/libjemalloc.so.2: wrong ELF class: ELFCLASS32":                          "/lib/libjemalloc.so.2: wrong ELF class: ELFCLASS32",
	} {
		require.Equal(t, want, l.explain(message))
	}
}

// Resident memory is counted in the range where it is, and nowhere else.
func TestSmaps(t *testing.T) {
	var s smaps
	require.Zero(t, s.in(0, 0))
	all := s.in(0, everywhere)
	status, err := os.ReadFile("/proc/self/statm") // pages: size resident …
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(status))[1], 10, 64)
	require.NoError(t, err)
	require.InEpsilon(t, pages*int64(os.Getpagesize()), all, 0.1)

	big := make([]byte, 64<<20) // a mapping of Go's
	for i := 0; i < len(big); i += 512 {
		big[i] = 1
	}
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(big))))
	require.Greater(t, s.in(at-1<<30, at+1<<30), int64(60<<20))
	require.Greater(t, s.in(0, everywhere), all+int64(60<<20))
	runtime.KeepAlive(big)
}

// Data is counted, wherever it is.
func TestAnonymous(t *testing.T) {
	before := anonymous()
	require.Positive(t, before)
	big := make([]byte, 64<<20)
	for i := 0; i < len(big); i += 512 {
		big[i] = 1
	}
	require.InDelta(t, 64<<20, anonymous()-before, 8<<20)
	runtime.KeepAlive(big)
}

const everywhere = 1 << 63

// A heap may be lost between two trees: the count shows it.
func TestCTreesThatLackNodes(t *testing.T) {
	_, err := whole(6, 2, 1)
	require.ErrorIs(t, err, errNoMemory)
	n, err := whole(14, 2, 2)
	require.NoError(t, err)
	require.EqualValues(t, 14, n)
}

// inProcess is set in a process that TestCInItsProcess has started.
const inProcess = "COMPARE_C_PROCESS"

// Each of the installed libraries passes the tests of all its kernels in a process
// with its environment. Without that, jemalloc cannot be loaded.
func TestCInItsProcess(t *testing.T) {
	if os.Getenv(inProcess) != "" {
		t.Skip("this is one")
	}
	tests := map[bench.Kind]string{
		bench.KindFixed: "TestFixed", bench.KindMixed: "TestMixed", bench.KindTreesFree: "TestTrees",
		bench.KindFrame: "TestFrame", bench.KindHold: "TestHold",
	}
	for _, c := range bench.Candidates() {
		if c.Family != bench.C {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if reason := c.Missing(); reason != "" {
				require.Contains(t, reason, "not found (Debian: lib")
				t.Skip(reason)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^Test/^"+c.Name+"(#|$)", "-test.v")
			cmd.Env = append(append(os.Environ(), c.Env...), inProcess+"=1")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			for kind, test := range tests {
				require.True(t, c.Has(kind), "kernel %s", kind)
				require.Contains(t, string(out), "--- PASS: "+test+"/"+c.Name)
			}
			require.Contains(t, string(out), "--- PASS: TestCTreesAreGivenUp/"+c.Name)
			require.NotContains(t, string(out), "    --- SKIP", "%s", out)
		})
	}
}

// jemalloc's figure is a maximum, and the workload is told so; others count what they have.
func TestCBounder(t *testing.T) {
	for _, c := range bench.Candidates() {
		if c.Family != bench.C {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			k := c.New(bench.KindMixed).(bench.Mixed)
			err := k.Open(1, 64, bench.Ends)
			if reason, ok := bench.CannotReason(err); ok {
				t.Skip(reason)
			}
			require.NoError(t, err)
			defer func() { require.NoError(t, k.Close()) }()
			b, ok := k.(bench.Bounder)
			require.Equal(t, c.Name == "jemalloc", ok)
			if ok { // 0 if another test has loaded it
				require.GreaterOrEqual(t, b.Began(), int64(0))
				require.Less(t, b.Began(), b.Held())
			}
		})
	}
}

// The count of the nodes does not show whether trees are freed; resident memory does.
func TestCTreesAreGivenUp(t *testing.T) {
	for _, kind := range []bench.Kind{bench.KindTreesFree, bench.KindTreesBulk} {
		for _, c := range bench.Candidates() {
			if c.Family != bench.C || !c.Has(kind) {
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				k := c.New(kind).(bench.Trees)
				err := k.Open()
				if reason, ok := bench.CannotReason(err); ok {
					t.Skip(reason)
				}
				require.NoError(t, err)
				if c.Name != "malloc" { // whose library need not be glibc
					require.Regexp(t, `^[1-9][0-9]*\.[0-9]+\.[0-9]+$`, k.(bench.Versioned).Version())
				}
				var s smaps
				before := s.in(0, everywhere)
				_, err = k.Churn(10, 4_000) // 125 MiB, if they were not freed
				require.NoError(t, err)
				require.Less(t, s.in(0, everywhere)-before, int64(32<<20))
				require.NoError(t, k.Close())
			})
		}
	}
}
