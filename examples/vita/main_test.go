package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/vita"
)

func start(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = command(args, &out, &errs)
	return out.String(), errs.String(), status
}

// frames is enough for five levels, or in short tests for part of one.
func frames() string {
	if testing.Short() {
		return "120"
	}
	return "7500"
}

func TestGame(t *testing.T) {
	stdout, stderr, status := start("-frames", frames())
	require.Zero(t, status, stderr)
	assert.Empty(t, stderr)
	first, second, _ := strings.Cut(stdout, "\nend ")
	for _, report := range []string{first, second} {
		for _, want := range []string{
			`(?m)^world +32\.00 MiB( +\d+\.\d\d MiB){4} +\d+$`,
			`(?m)^textures +24\.00 MiB( +\d+\.\d\d MiB){4} +\d+$`,
			`(?m)^sound +8\.00 MiB( +\d+\.\d\d MiB){4} +\d+$`,
			`(?m)^all +64\.00 MiB( +\d+\.\d\d MiB){4} +\d+$`,
		} {
			assert.Regexp(t, want, report)
		}
		if _, err := vita.Native(); err != nil {
			assert.Regexp(t, `(?m)^CDRAM +112\.00 MiB`, report)
			assert.Regexp(t, `(?m)^PHYCONT +26\.00 MiB`, report)
		} else {
			assert.Contains(t, report, "the kernel says free: user ")
		}
	}
	for _, want := range []string{
		frames() + ` frames, `, `\nworst frame \d+\.\d\d ms, worst level change \d+\.\d\d ms`,
		`\nblocks asked of the kernel: \d\d, refused: 0\n`, `\nheld for each byte live: 1\.[01]\d\d\n`,
		`\nnothing failed, drifted or was lost\n$`,
	} {
		assert.Regexp(t, want, second)
	}
	if !testing.Short() {
		assert.Regexp(t, `\nfragmentation of textures after a level: 0\.\d\d\d at most`, second)
		assert.Regexp(t, `5 levels, 15000000 sparks born, 14963000 died`, second)
	}
}

// README shows the table that the game ends with. It varies a little with the addresses of
// the Go memory that the simulation hands out: the address map has more or fewer leaves.
func TestReadmeShowsTheEnd(t *testing.T) {
	if _, err := vita.Native(); testing.Short() || err == nil || math.MaxInt == math.MaxInt32 {
		t.Skip("ten minutes of the simulation, with records of 64 bits")
	}
	stdout, _, status := start()
	require.Zero(t, status)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	shown, played := endTable(t, string(readme), "\n```"), endTable(t, stdout, "\n\n")
	require.Len(t, shown, len(played))
	for i, row := range played {
		require.Len(t, shown[i], len(row))
		for k, figure := range row {
			n, err := strconv.ParseFloat(figure, 64)
			if err != nil {
				assert.Equal(t, figure, shown[i][k])
				continue
			}
			says, err := strconv.ParseFloat(shown[i][k], 64)
			require.NoError(t, err)
			assert.InDelta(t, n, says, max(n/20, 2*float64(k/(len(row)-1))), "%s: two blocks, or a twentieth", row)
		}
	}
}

// endTable returns the words of the table that the game ends with.
func endTable(t *testing.T, text, end string) (rows [][]string) {
	t.Helper()
	_, table, found := strings.Cut(text, "\nend ")
	require.True(t, found)
	table, _, _ = strings.Cut(table, end)
	for line := range strings.Lines(table) {
		rows = append(rows, strings.Fields(line))
	}
	require.Greater(t, len(rows), 3)
	return rows
}

func TestWrongUse(t *testing.T) {
	for what, c := range map[string]struct {
		args []string
		says string
	}{
		"flag":            {[]string{"-frobnicate"}, "-frobnicate"},
		"argument":        {[]string{"level1"}, `no arguments, not "level1"`},
		"no number":       {[]string{"-frames", "many"}, "many"},
		"no frames":       {[]string{"-frames", "0"}, "-frames is a number from 1 to"},
		"too many frames": {[]string{"-frames", "99999999"}, "-frames is a number from 1 to"},
		"too many digits": {[]string{"-frames", "99999999999999999999"}, "99999999999999999999"},
		"a small budget":  {[]string{"-budget", "24"}, "-budget is a multiple of 8 from 32 to 192"},
		"a large budget":  {[]string{"-budget", "200"}, "-budget is a multiple"},
		"an odd budget":   {[]string{"-budget", "65"}, "-budget is a multiple"},
	} {
		stdout, stderr, status := start(c.args...)
		assert.Equal(t, statusUsage, status, what)
		assert.Empty(t, stdout, what)
		assert.Contains(t, stderr, c.says, what)
		assert.Contains(t, stderr, "usage: vita", what)
	}
	_, stderr, status := start("-h")
	assert.Zero(t, status)
	assert.Contains(t, stderr, "usage: vita")
}

// simulated returns a game on a simulated console, with its first level loaded.
func simulated(t *testing.T) *game {
	t.Helper()
	g, err := newGame(defaultBudget * mib)
	require.NoError(t, err)
	if g.sim == nil {
		t.Skip("no simulation in this build")
	}
	require.NoError(t, g.frame())
	require.Empty(t, g.verdict())
	return g
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// A report that cannot be written is a failure.
func TestOutputFails(t *testing.T) {
	var stderr bytes.Buffer
	assert.Equal(t, statusFailed, command([]string{"-frames", "1"}, full{}, &stderr))
	assert.Equal(t, "vita: no space left\n", stderr.String())
}

// The verdict lists whatever goes wrong.
func TestVerdict(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(g *game)
		says  string
	}{
		"a refusal": {func(g *game) {
			_, err := g.world.Alloc(g.world.budget, 0)
			assert.ErrorIs(t, err, blocksrc.ErrExhausted)
		}, "1 requests failed"},
		"too many blocks": {func(g *game) {
			for range g.maxBlocks() {
				block, err := g.sound.src.Acquire(1, 0)
				require.NoError(t, err)
				require.NoError(t, g.sound.src.Release(block))
			}
		}, "blocks were asked of the kernel"},
		"a block of nobody's": {func(g *game) {
			_, err := g.video.src.Acquire(1, 0)
			require.NoError(t, err)
		}, "the kernel has given"},
		"waste": {func(g *game) { require.NoError(t, g.unload()) }, "bytes are held for each that is live"},
		"drift": {func(g *game) {
			g.video.after = []float64{0, 0, 0, 0.1}
		}, "fragmentation of textures drifts from 0.000 to 0.100"},
		"a spark too many": {func(g *game) { g.born++ }, "2001 sparks born"},
		"a long game":      {func(g *game) { g.born += maxFrames * sparksPerFrame }, "7200002000 sparks born"},
	} {
		t.Run(what, func(t *testing.T) {
			g := simulated(t)
			c.spoil(g)
			assert.ErrorContains(t, errors.Join(g.verdict()...), c.says)
		})
	}
}

// A stray write over the mark of an asset is found when its level ends.
func TestUnloadFindsStrayWrites(t *testing.T) {
	g := simulated(t)
	g.loaded[7].mem[0]++
	assert.ErrorContains(t, g.unload(), "have changed by themselves")
}

// A failed call of the kernel ends the game with the reason, not with a panic.
func TestKernelFails(t *testing.T) {
	for n := 1; n <= 60; n += 4 {
		g, err := newGame(defaultBudget * mib)
		require.NoError(t, err)
		if g.sim == nil {
			t.Skip("no simulation in this build")
		}
		g.sim.Fail(vita.AnyCall, n, vita.InvalidUID)
		for err == nil && g.frames < 3 {
			err = g.frame()
		}
		if err == nil {
			continue // the allocator managed with less
		}
		require.ErrorIs(t, err, vita.InvalidUID)
		_ = g.close()
		require.NoError(t, g.sim.Leaks())
	}
}

// A refusal of memory for sparks, the list or enemies ends the game.
func TestRefusalsAreToldOf(t *testing.T) {
	for what, c := range map[string]func(g *game) error{
		"a spark":          func(g *game) error { return g.sparks.Close() },
		"the list to draw": func(g *game) error { return g.scratch.Close() },
		"an enemy": func(g *game) error {
			g.enemies.Remove(g.targets[3])
			return g.enemies.Close()
		},
	} {
		t.Run(what, func(t *testing.T) {
			g := simulated(t)
			require.NoError(t, c(g))
			assert.ErrorContains(t, g.frame(), what)
		})
	}
}

// An enemy that died is replaced in the same frame.
func TestEnemiesComeBack(t *testing.T) {
	g := simulated(t)
	for _, h := range g.targets[:5] {
		require.True(t, g.enemies.Remove(h))
	}
	require.NoError(t, g.frame())
	assert.Equal(t, enemiesPerLevel, g.enemies.Len())
	for _, h := range g.targets {
		_, ok := g.enemies.Get(h)
		assert.True(t, ok)
	}
}

// The game fits the smallest and the largest budget.
func TestBudgets(t *testing.T) {
	for _, mib := range []string{"32", "192"} {
		stdout, stderr, status := start("-frames", "30", "-budget", mib)
		assert.Zero(t, status, stderr)
		assert.Contains(t, stdout, "all "+strings.Repeat(" ", 9-len(mib))+mib+".00 MiB")
	}
}

// close reports a block that the kernel did not take back, in a port too, where no simulation
// tells of it.
func TestCloseFindsOrphans(t *testing.T) {
	m, err := newMemory(defaultBudget * mib)
	require.NoError(t, err)
	sim := m.sim
	if sim == nil {
		t.Skip("no simulation in this build")
	}
	sim.Fail(vita.CallBase, 1, vita.InvalidUID)
	sim.Fail(vita.CallFree, 1, vita.BlockInUse)
	_, err = m.sound.src.Acquire(1, 0)
	require.ErrorIs(t, err, vita.InvalidUID)
	m.sim = nil
	require.ErrorContains(t, m.close(), "sound: 0 bytes are still held, and 1 block")
	require.Error(t, sim.Leaks())
}

// close reports a forgotten block.
func TestCloseFindsLeaks(t *testing.T) {
	g := simulated(t)
	_, err := g.sound.src.Acquire(1, 0)
	require.NoError(t, err)
	err = g.close()
	assert.ErrorContains(t, err, "sound: 1048576 bytes are still held")
	assert.ErrorContains(t, err, "were not freed")
}
