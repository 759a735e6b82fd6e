// Vita is the memory side of a game, built as a port to the console would be. It takes all
// its memory from the kernel's pools within a budget of 64 MiB, plays ten minutes of levels,
// effects and scratch memory, and reports what that took. On a desktop the kernel is
// simulated.
//
//	go run ./examples/vita [-frames n] [-budget MiB]
//
// It exits with status 1 if anything did not fit, was lost, or drifted. README.md says how
// to use the same source in a port.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line says.
type options struct {
	frames int
	budget int // bytes
}

// Ten minutes, and budgets in MiB that the stock console has room for.
const (
	defaultFrames = 10 * 60 * framesPerSecond
	maxFrames     = 100 * defaultFrames
	defaultBudget = 64
	minBudget     = 32
	maxBudget     = 192
)

// command is the program without its exit.
func command(args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case err != nil:
		return statusUsage // parseFlags has printed why
	}
	return play(o, stdout, stderr)
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	fs := flag.NewFlagSet("vita", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: vita [-frames n] [-budget MiB]\n\n"+
			"Play a game's memory within the budget of a console.\n\n")
		fs.PrintDefaults()
	}
	var o options
	fs.IntVar(&o.frames, "frames", defaultFrames, "play `n` frames, 60 of them a second")
	fs.IntVar(&o.budget, "budget", defaultBudget, "take at most this many `MiB` in all")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	wrong := ""
	switch {
	case fs.NArg() > 0:
		wrong = fmt.Sprintf("no arguments, not %q", fs.Arg(0))
	case o.frames < 1 || o.frames > maxFrames:
		wrong = fmt.Sprintf("-frames is a number from 1 to %d", maxFrames)
	case o.budget < minBudget || o.budget > maxBudget || o.budget%8 != 0:
		wrong = fmt.Sprintf("-budget is a multiple of 8 from %d to %d", minBudget, maxBudget)
	}
	if wrong != "" {
		fmt.Fprintf(stderr, "vita: %s\n", wrong)
		fs.Usage()
		return o, errUsage
	}
	o.budget *= mib
	return o, nil
}

var errUsage = errors.New("wrong usage") // after parseFlags has printed why

// play runs the game and reports what it took. A port calls nothing else.
func play(o options, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintf(stderr, "vita: %v\n", err)
		return statusFailed
	}
	g, err := newGame(o.budget)
	if err != nil {
		return fail(err)
	}
	err = g.play(o.frames, stdout)
	// Close whatever happened: in a port the program goes on and needs the memory.
	if err := errors.Join(err, g.close()); err != nil {
		return fail(err)
	}
	if _, err := fmt.Fprintln(stdout, "nothing failed, drifted or was lost"); err != nil {
		return fail(err)
	}
	return statusOK
}

// play plays that many frames, and returns what was not good enough.
func (g *game) play(frames int, w io.Writer) error {
	g.report(w, "start")
	for range frames {
		if err := g.frame(); err != nil {
			return fmt.Errorf("frame %d: %w", g.frames, err)
		}
	}
	g.report(w, "end")
	g.summary(w)
	return errors.Join(g.verdict()...)
}
