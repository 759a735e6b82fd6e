// Compare measures deblockator against what a program could use instead: every
// workload with every candidate that can do it, each in a process of its own.
//
//	go run .
//
// README.md says what is measured and how, and what is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/vita-go/deblockator/examples/compare/bench"
	_ "github.com/vita-go/deblockator/examples/compare/candidate"
	_ "github.com/vita-go/deblockator/examples/compare/workload"
)

// Exit statuses.
const (
	statusOK          = 0
	statusFailed      = 1 // a cell failed; the results are written
	statusUsage       = 2 // the command line or the folder is at fault; nothing was run
	statusInterrupted = 130
)

func main() {
	if cell := os.Getenv(cellEnv); cell != "" {
		os.Exit(runCell(cell, os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are the parsed command line.
type options struct {
	out        string
	short      bool
	reps       int
	timeout    time.Duration
	profile    bool
	workloads  []*bench.Workload
	candidates []*bench.Candidate
	args       []string
}

var (
	errUsage  = errors.New("wrong usage") // the message is printed already
	errDone   = errors.New("nothing more to do")
	errOutput = errors.New("cannot write the list")
)

func run(args []string, stdout, stderr io.Writer) (status int) {
	o, err := parseFlags(args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp), errors.Is(err, errDone):
		return statusOK
	case errors.Is(err, errOutput):
		fmt.Fprintf(stderr, "compare: %v\n", err)
		return statusFailed
	case err != nil:
		return statusUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), interrupts()...)
	defer stop()
	if err := compare(ctx, o, stderr); err != nil {
		fmt.Fprintf(stderr, "compare: %v\n", err)
		switch {
		case ctx.Err() != nil:
			return statusInterrupted
		case errors.Is(err, errOut), errors.Is(err, errNothing):
			return statusUsage
		}
		return statusFailed
	}
	return statusOK
}

// interrupts are the signals that end a run early: what is finished is kept, and what was built is
// removed. A terminal that is gone, or a pipe that nobody reads any more, is one of them, unless
// nohup is to keep the program going.
func interrupts() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}

func parseFlags(args []string, stdout, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, "usage: go run . [flags]\n\n"+
			"Measure workloads with candidates and write results.json, results.md and plots.\n\n")
		fs.PrintDefaults()
	}
	var workloads, candidates string
	var list bool
	fs.StringVar(&o.out, "out", "out", "write to this `folder`")
	fs.BoolVar(&o.short, "short", false, "do little of everything: checksums are compared, times mean nothing")
	fs.StringVar(&workloads, "workload", "", "only these `workloads`: names, how they begin, or groups such as entities, with commas between")
	fs.StringVar(&candidates, "candidate", "", "only these `candidates`: names or how they begin, with commas between")
	fs.IntVar(&o.reps, "reps", 3, "repeat each cell `n` times; 1 if short")
	fs.DurationVar(&o.timeout, "timeout", 5*time.Minute, "the `time` after which a cell is given up")
	fs.BoolVar(&o.profile, "profile", false, "write a CPU profile of the first run of each cell to the folder, for go tool pprof")
	fs.BoolVar(&list, "list", false, "list workloads and candidates, and do nothing else")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.args = args
	complain := func(format string, a ...any) (options, error) {
		fmt.Fprintf(stderr, "compare: "+format+"\n", a...)
		return o, errUsage
	}
	blank := ""
	fs.Visit(func(f *flag.Flag) {
		if (f.Name == "workload" || f.Name == "candidate") && strings.TrimSpace(f.Value.String()) == "" {
			blank = f.Name // an unset shell variable, not a request for everything
		}
	})
	switch {
	case blank != "":
		return complain("-%s needs a name; -list shows them", blank)
	case fs.NArg() > 0:
		return complain("unexpected argument %q; -h shows the flags", fs.Arg(0))
	case o.reps < 1 || o.reps > 100:
		return complain("-reps is a number from 1 to 100")
	case o.timeout <= 0:
		return complain("-timeout must be positive")
	case o.out == "":
		return complain("-out needs the name of a folder")
	}
	if o.workloads, err = choose(bench.Workloads(), workloads, func(w *bench.Workload) string { return w.Name }, func(w *bench.Workload) string { return w.Group }); err != nil {
		return complain("no workload %v", err)
	}
	if o.candidates, err = choose(bench.Candidates(), candidates, func(c *bench.Candidate) string { return c.Name }); err != nil {
		return complain("no candidate %v", err)
	}
	if list {
		if err := listAll(stdout, o); err != nil {
			return o, fmt.Errorf("%w: %w", errOutput, err)
		}
		return o, errDone
	}
	if o.short {
		o.reps = 1
	}
	return o, nil
}
