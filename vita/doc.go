// Package vita makes the memory of a PS Vita a source of blocks, and simulates the
// console's kernel on a desktop, to develop, test and budget a port there.
//
//	Source       a blocksrc.Source over one type of memory of a Kernel
//	Kernel       the memory calls of the console's kernel, raw
//	  Native     the console's own; build tag vita, cgo
//	  Sim        a simulation in Go, on every system
//
// A program takes its blocks from a [Source] and never needs to know which kernel
// is behind it:
//
//	kernel := vita.NewSim(vita.Console{}) // on a console: kernel, err := vita.Native()
//	src := &vita.Source{Kernel: kernel, Type: vita.UserRW, Name: "world"}
//	a, err := slab.New(slab.Config{Source: blocksrc.Limit(src, 32<<20)})
//
// # The console's memory
//
// The console has no mmap. Its kernel hands out blocks of several kinds of memory, each
// with a budget and a granule:
//
//	pool      budget                     granule   cached   for
//	user      256 to 365 MiB, see below  4 KiB     both     everything
//	CDRAM     112 MiB                    256 KiB   no       what the GPU reads and writes
//	PHYCONT    26 MiB                    1 MiB     both     devices, and as a reserve
//	cdialog   8.8 MiB                    4 KiB     both     system dialogs
//	VM         16 MiB                    1 MiB              code made at run time
//
// A block is committed memory from the start and goes back whole: no part of it can be
// returned. Its initial contents are unspecified. Each block costs a kernel object, so a
// program should take few large ones and divide them, which is what package slab is for.
//
// A program has 256 MiB of main memory, and up to 109 more if its package asks for them, as
// vitasdk's packager does. Before main, newlib takes its heap from it: 128 MiB, unless the program
// defines _newlib_heap_size_user. Blocks cannot use the memory of that heap.
//
// Uncached memory is slow for the CPU, and it is not known whether atomics work there.
// An allocator over CDRAM should keep its records elsewhere (slab.Config.MetaSource).
//
// # What a Source does
//
// It rounds sizes up to the granule. It asks the kernel for an alignment only if the
// granule does not give it, and never for PHYCONT, where it takes a larger block instead.
// It gives each block a different name. It frees a block once, by the UID that it was made
// with, and at once if a later call fails. For every failure it names the call, the size,
// the type of memory and the kernel's status:
//
//	vita: sceKernelAllocMemBlock: 2097152 bytes of USER_RW: 0x80024302 NO_FREE_PHYSICAL_PAGE: source exhausted
//
// If the kernel answers either call with a code that means exhaustion, the error wraps
// blocksrc.ErrExhausted, so blocksrc.Fallback over several Sources goes from one pool to
// the next.
//
// # The build tags
//
// To the compiler a Go program on the console is linux/arm, so a tag says that it is not
// Linux. With the tag vita no file of this module maps memory, and blocksrc.Default fails
// until the program has called blocksrc.SetDefault, to which it can pass [Default]. With
// vita and cgo, Native returns the console's kernel, and the program must be linked with
// SceSysmem_stub. With vitafake as well, a fake of the kernel in C takes the console's
// place on a desktop, so that the binding is executed and not only compiled. A [Sim] needs
// no tag.
//
// # What is known and what is not
//
// Nothing here has run on a console. Types, codes and layouts are vitasdk's. Budgets,
// granules and which call returns which code are what ports and their authors have
// reported. A Sim shows the hardware as far as those reports go, and Vita3K as its source
// code has it. Where nobody has reported anything, a Sim is strict: it refuses sizes
// between granules and alignments for PHYCONT, and has a separate code for exhausted
// addresses. The budget of USER_MAIN_GAME_RW is not known; it counts as main memory. A Sim
// cannot show how uncached, read-only or non-executable memory behaves, nor what a call
// costs.
package vita
