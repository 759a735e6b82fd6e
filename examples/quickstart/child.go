package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/vita-go/deblockator/blocksrc"
)

// childEnv is the environment variable that tells a child process which index to build.
const childEnv = "QUICKSTART_INDEX"

// message is what a child tells its parent: how far it has come, or its result.
type message struct {
	Doing       string  `json:",omitempty"`
	Done, Total int     `json:",omitempty"`
	Result      *result `json:",omitempty"`
}

// result is all that a child finds out.
type result struct {
	Content content // the same in both children, or something is wrong

	Build    time.Duration
	BuildGCs uint64
	Heap     int64
	RSS      int64
	GCWall   time.Duration // of one cycle
	GCCPU    time.Duration

	Default  served
	Tuned    served
	Limit    int64 // on memory, for Tuned
	OnGoHeap bool  // the arena's blocks are Go slices in this build
}

// child builds one index, measures, and writes messages to out.
func child(which string, o options, out io.Writer) (err error) {
	// ^C reaches the whole process group. The parent acts on it: a child that ended by
	// itself would be taken for one that failed.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	go func() { // the parent keeps stdin open as long as it lives
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(statusFailed)
	}()
	enc := json.NewEncoder(out)
	var said time.Time
	say := func(doing string, done, total int) {
		if done == 0 || time.Since(said) > 100*time.Millisecond {
			said = time.Now()
			_ = enc.Encode(message{Doing: doing, Done: done, Total: total}) // if it fails, the parent is gone
		}
	}

	untune()
	t, err := openTree(o.folder)
	if err != nil {
		return err
	}
	ix, err := newIndex(which)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ix.close()) }()

	var r result
	start := time.Now()
	for i := range t.files {
		say("indexing files", i, len(t.files))
		if err := t.parse(i, &r.Content.Parsed, ix.add); err != nil {
			return err
		}
	}
	r.Build = time.Since(start)
	r.BuildGCs = readGC().cycles

	say("checking the index", 0, 0)
	queries := r.Content.read(ix, t)

	say("measuring GC cycles", 0, 0)
	debug.FreeOSMemory() // what parsing left behind is no part of the index
	r.Heap, r.RSS = heapBytes(), residentBytes()
	r.GCWall, r.GCCPU = cycleCost()

	r.Default = serve(ix, t, queries, o.queries, func(done int) { say("serving queries", done, o.queries) })
	r.Content.Answers = r.Default.Sum
	tune()
	r.Limit = debug.SetMemoryLimit(-1)
	r.Tuned = serve(ix, t, queries, o.queries, func(done int) { say("serving queries, GC tuned", done, o.queries) })
	if r.Tuned.Sum != r.Default.Sum {
		return errors.New("the second time, the same queries had other answers")
	}
	if which == withArena {
		_, mapped := blocksrc.Default().(blocksrc.Mmap)
		r.OnGoHeap = !mapped
	}
	return enc.Encode(message{Result: &r})
}

// runChild has another process of this program build an index, and shows what it is
// doing. The process ends with ctx, and in any case with this one.
func runChild(ctx context.Context, which, folder string, queries int) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-queries", strconv.Itoa(queries), folder)
	cmd.Env = append(os.Environ(), childEnv+"="+which)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // closed by Wait, or when this process ends
		return result{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	if err := cmd.Start(); err != nil {
		return result{}, err
	}

	show := newProgress(which, os.Stderr)
	var r *result
	for dec := json.NewDecoder(stdout); ; {
		var m message
		if err = dec.Decode(&m); err != nil {
			break
		}
		if r = m.Result; r == nil {
			show.update(m)
		}
	}
	show.end()
	if errors.Is(err, io.EOF) {
		err = nil
	} else {
		_ = cmd.Process.Kill() // its output makes no sense
	}
	if ended := cmd.Wait(); ended != nil {
		return result{}, fmt.Errorf("child process: %w", errors.Join(err, ended))
	}
	if r == nil {
		return result{}, errors.New("the child process ended without a result")
	}
	return *r, nil
}
