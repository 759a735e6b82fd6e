package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/vita-go/deblockator/arena"
)

// The game: two thousand sparks are born and die in every frame, enemies come and go with
// them, and each frame builds a list to draw in scratch memory. Every thirty seconds
// another level replaces everything that the last one had loaded.

const (
	framesPerSecond = 60
	framesPerLevel  = 30 * framesPerSecond
	sparksPerFrame  = 2000
	enemiesPerLevel = 500
)

type spark struct {
	x, y, vx, vy float32
	target       arena.Handle[enemy] // may be dead by the time it is hit
	life         int32
}

type enemy struct {
	x, y float32
	hp   int32
}

// A sprite is what the frame hands to the GPU.
type sprite struct{ x, y float32 }

type game struct {
	*memory
	sparks  *arena.Arena[spark]
	enemies *arena.Arena[enemy]
	targets []arena.Handle[enemy]
	scratch *arena.Region
	loaded  []asset
	random  random

	frames, levels, killed    int
	born, died, drawn, missed int64 // billions in the longest game
	worstFrame, worstLoad     time.Duration
}

// An asset is a piece of a level, marked at both ends.
type asset struct {
	pool *pool
	mem  []byte
	mark byte
}

func newGame(budget int) (*game, error) {
	m, err := newMemory(budget)
	if err != nil {
		return nil, err
	}
	g := &game{memory: m, random: 1}
	var errs [3]error
	g.sparks, errs[0] = arena.New[spark](m.world.Allocator)
	g.enemies, errs[1] = arena.New[enemy](m.world.Allocator)
	g.scratch, errs[2] = arena.NewRegion(m.world.Allocator)
	return g, errors.Join(errs[:]...)
}

// frame plays one frame. It returns an error if something did not fit.
func (g *game) frame() error {
	if g.frames%framesPerLevel == 0 {
		start := time.Now()
		if err := g.nextLevel(); err != nil {
			return err
		}
		g.worstLoad = max(g.worstLoad, time.Since(start))
	}
	g.frames++
	start := time.Now()
	if err := g.spawn(); err != nil {
		return err
	}
	g.update()
	if err := g.draw(); err != nil {
		return err
	}
	if err := g.respawn(); err != nil {
		return err
	}
	g.worstFrame = max(g.worstFrame, time.Since(start))
	return nil
}

// spawn starts sparks around enemies; each flies at one of them. Of a frame's sparks equally
// many live 10, 11, …, 29 frames, so equally many die in each frame.
func (g *game) spawn() error {
	for i := range sparksPerFrame {
		p, err := g.sparks.Alloc()
		if err != nil {
			return fmt.Errorf("a spark: %w", err)
		}
		*p = spark{
			vx: float32(g.random.below(8)), vy: float32(g.random.below(8)),
			target: g.targets[g.random.below(len(g.targets))], life: int32(10 + i%20),
		}
		if e, ok := g.enemies.Get(p.target); ok {
			p.x, p.y = e.x-10*p.vx, e.y-10*p.vy
		}
		g.born++
	}
	return nil
}

// update moves all sparks, frees those whose life is over, and removes the enemies that they
// kill.
func (g *game) update() {
	for p := range g.sparks.Values() {
		p.x, p.y = p.x+p.vx, p.y+p.vy
		if p.life--; p.life > 0 {
			continue
		}
		if e, ok := g.enemies.Get(p.target); !ok {
			g.missed++ // the target is of an earlier level, or dead
		} else if e.hp--; e.hp <= 0 {
			g.enemies.Remove(p.target)
			g.killed++
		}
		g.sparks.Free(p)
		g.died++
	}
}

// draw builds this frame's list. Its memory lasts until the next frame.
func (g *game) draw() error {
	g.scratch.Reset()
	list, err := arena.MakeSlice[sprite](g.scratch, g.sparks.Len())
	if err != nil {
		return fmt.Errorf("the list to draw: %w", err)
	}
	n := 0
	for run := range g.sparks.Chunks() {
		for i := range run {
			list[n] = sprite{run[i].x, run[i].y}
			n++
		}
	}
	g.drawn += int64(n)
	return nil
}

// respawn replaces the enemies that have died.
func (g *game) respawn() error {
	if g.enemies.Len() == len(g.targets) {
		return nil
	}
	for i, h := range g.targets {
		if _, ok := g.enemies.Get(h); ok {
			continue
		}
		var err error
		if g.targets[i], err = g.newEnemy(); err != nil {
			return err
		}
	}
	return nil
}

// newEnemy puts an enemy at a random place on the screen.
func (g *game) newEnemy() (arena.Handle[enemy], error) {
	h, err := g.enemies.Insert(enemy{
		x: float32(g.random.below(960)), y: float32(g.random.below(544)), hp: 20 + int32(g.random.below(200)),
	})
	if err != nil {
		return h, fmt.Errorf("an enemy: %w", err)
	}
	return h, nil
}

// nextLevel unloads the current level, if there is one, and loads the next.
func (g *game) nextLevel() error {
	if g.levels > 0 {
		if err := g.unload(); err != nil {
			return err
		}
	}
	g.levels++
	g.targets = g.targets[:0]
	for range enemiesPerLevel {
		h, err := g.newEnemy()
		if err != nil {
			return err
		}
		g.targets = append(g.targets, h)
	}
	// Meshes, textures and sounds, different in each level, fill up to about nine tenths
	// of each pool, less of main memory: the rest of it is for the sparks and the list.
	for _, l := range []struct {
		pool     *pool
		percent  int
		min, max int
	}{
		{g.world, 82, 2 * kib, 200 * kib},
		{g.video, 92, 16 * kib, 512 * kib},
		{g.sound, 92, 4 * kib, 256 * kib},
	} {
		want := l.pool.budget / 100 * (l.percent - g.random.below(4))
		for have := 0; have < want; {
			size := l.min + g.random.below(l.max-l.min)
			size = min(size, want-have)
			mem, err := l.pool.AllocUninitialized(size, 64)
			if err != nil {
				return fmt.Errorf("%d bytes of %s in level %d: %w", size, l.pool.name, g.levels, err)
			}
			a := asset{l.pool, mem, byte(len(g.loaded))}
			mem[0], mem[size-1] = a.mark, a.mark
			g.loaded = append(g.loaded, a)
			have += size
		}
	}
	return nil
}

// unload frees a level in random order, which causes fragmentation, and checks that nobody
// has written over its marks.
func (g *game) unload() error {
	for len(g.loaded) > 0 {
		i, last := g.random.below(len(g.loaded)), len(g.loaded)-1
		a := g.loaded[i]
		g.loaded[i] = g.loaded[last]
		g.loaded = g.loaded[:last]
		if a.mem[0] != a.mark || a.mem[len(a.mem)-1] != a.mark {
			return fmt.Errorf("%d bytes of %s have changed by themselves", len(a.mem), a.pool.name)
		}
		a.pool.Free(a.mem)
	}
	g.enemies.Reset()
	for _, p := range g.pools {
		p.after = append(p.after, p.Stats().Fragmentation())
	}
	return nil
}

// close ends the game and frees its memory.
func (g *game) close() error {
	err := g.unload()
	return errors.Join(err, g.sparks.Close(), g.enemies.Close(), g.scratch.Close(), g.memory.close())
}

// random is xorshift64, so that the game is the same each time.
type random uint64

func (r *random) below(n int) int {
	x := uint64(*r)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*r = random(x)
	return int(uint64(uint32(x>>32)) * uint64(n) >> 32)
}
