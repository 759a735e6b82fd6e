// Quickstart builds an index of every identifier in a tree of Go files, by
// default those of the Go installation: some five million small objects that
// refer to one another. It does so in two processes, once with Go pointers and
// once with an arena, checks that both indexes give the same answers, and prints
// what each costs the program and its garbage collector.
//
//	go run ./examples/quickstart [-queries n] [folder]
//
// Read the two indexes, index_pointers.go and index_arena.go, side by side. The rest is
// there to feed and to measure them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	statusOK          = 0
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130
)

func main() {
	opts, err := parseFlags(os.Args[1:])
	which := os.Getenv(childEnv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		err = nil
	case err != nil: // already reported
		err = errUsage
	case which != "":
		err = child(which, opts, os.Stdout)
	default:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		if err = run(ctx, opts); err != nil && ctx.Err() != nil {
			err = errInterrupted
		}
		stop()
	}
	os.Exit(exitStatus(err))
}

// options are what the command line says.
type options struct {
	folder  string // "" for the Go installation
	queries int
}

// maxQueries keeps a run within an hour.
const maxQueries = 100_000_000

func parseFlags(args []string) (options, error) {
	fs := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: quickstart [-queries n] [folder]\n\n"+
			"Index the Go files in a folder, by default those of the Go installation,\n"+
			"with Go pointers and with an arena, and compare what that costs.\n\n")
		fs.PrintDefaults()
	}
	var o options
	fs.IntVar(&o.queries, "queries", 200_000, "serve `n` queries from each index")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	wrong := ""
	switch {
	case fs.NArg() > 1:
		wrong = fmt.Sprintf("one folder, not %d", fs.NArg())
	case fs.NArg() == 1 && fs.Arg(0) == "":
		wrong = "the folder has no name"
	case o.queries < 1 || o.queries > maxQueries:
		wrong = fmt.Sprintf("-queries is a number from 1 to %s", thousands(maxQueries))
	}
	if wrong != "" {
		fmt.Fprintf(os.Stderr, "quickstart: %s\n", wrong)
		fs.Usage()
		return o, errUsage
	}
	o.folder = fs.Arg(0)
	return o, nil
}

// run does the work: it builds both indexes, one after the other. Each has a process of
// its own, so that neither finds the memory or the collector as the other left it.
func run(ctx context.Context, o options) error {
	var err error
	if o.folder == "" {
		if o.folder, err = installation(ctx); err != nil {
			return err
		}
	}
	src, err := openTree(o.folder)
	if err != nil {
		return err
	}
	var results [2]result
	for i, which := range []string{withPointers, withArena} {
		if results[i], err = runChild(ctx, which, src.root, o.queries); err != nil {
			return fmt.Errorf("%s: %w", which, err)
		}
		if results[i].Content.Places == 0 {
			return fmt.Errorf("%w: no identifiers in the Go files in %s or below", errInput, o.folder)
		}
	}
	return report(os.Stdout, src, o.queries, results[0], results[1])
}

var (
	errUsage       = errors.New("wrong usage")      // already reported
	errInput       = errors.New("nothing to index") // wrapped by every error about the folder
	errInterrupted = errors.New("interrupted")
)

// exitStatus reports err on stderr and returns the exit status for it.
func exitStatus(err error) int {
	if err != nil && !errors.Is(err, errUsage) {
		fmt.Fprintf(os.Stderr, "quickstart: %v\n", err)
	}
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errUsage), errors.Is(err, errInput):
		return statusUsage
	case errors.Is(err, errInterrupted):
		return statusInterrupted
	}
	return statusFailed
}
