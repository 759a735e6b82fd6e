// Package vita makes the memory of a PS Vita a source of blocks, and brings a
// console's kernel to the desktop to develop, test and budget a port there.
//
//	Source       a blocksrc.Source over one type of memory of a Kernel
//	Kernel       the memory calls of the console's kernel, raw
//	  Native     the console's own; build tag vita, cgo
//	  Sim        one in Go, on every system
//
// A program takes its blocks from a [Source] and never needs to know which kernel
// is behind it:
//
//	sim := vita.NewSim(vita.Console{}) // or vita.Native()
//	src := &vita.Source{Kernel: sim, Type: vita.UserRW, Name: "world"}
//	a, err := slab.New(slab.Config{Source: blocksrc.Limit(src, 32<<20)})
//
// # The console's memory
//
// There is no mmap. The kernel gives blocks of several kinds of memory, each with a
// budget and a granule:
//
//	pool      budget                     granule   cached   for
//	user      256 to 365 MiB, see below  4 KiB     both     everything
//	CDRAM     112 MiB                    256 KiB   no       what the GPU reads and writes
//	PHYCONT    26 MiB                    1 MiB     both     devices, and as a reserve
//	cdialog   8.8 MiB                    4 KiB     both     system dialogs
//	VM         16 MiB                    1 MiB              code made at run time
//
// A block is all there from the start and goes back as a whole; no part of it can
// be returned, and nothing is promised about what it holds. It costs a kernel
// object. So few and large blocks are taken, which is what package slab is for.
//
// Main memory is 256 MiB for a program by default and up to 109 more if its
// package asks for them. newlib takes its heap from it before main: 128 MiB, unless
// the program defines _newlib_heap_size_user. What malloc has, blocks cannot have.
//
// Memory that is not cached is slow for the CPU, and whether atomics work there is
// not known: an allocator over CDRAM wants its records elsewhere
// (slab.Config.MetaSource).
//
// # What a Source does
//
// It rounds sizes up to the granule; asks for an alignment only if the granule does
// not give it, and never of PHYCONT, where it takes more instead; names each block
// differently; frees it once, by the UID that it was made with, and at once if a
// later call fails; and says of every failure which call it was, for how many bytes
// of what, and what the kernel answered:
//
//	vita: sceKernelAllocMemBlock: 2097152 bytes of USER_RW: 0x80024302 NO_FREE_PHYSICAL_PAGE: source exhausted
//
// Codes that mean exhaustion wrap blocksrc.ErrExhausted, so blocksrc.Fallback over
// several Sources goes from one pool to the next.
//
// # The build tags
//
// A Go program on the console is linux/arm to the compiler, so a tag says that it
// is not Linux. With vita no file of this module maps memory, and
// blocksrc.Default fails until the program has called blocksrc.SetDefault, for
// which [Default] is ready. With vita and cgo there is Native, and what is linked
// needs SceSysmem_stub; with vitafake too, a fake of the kernel in C takes its place
// on a desktop, so that the binding is run and not only compiled. A [Sim] needs no
// tag.
//
// # What is known and what is not
//
// Nothing here has run on a console. Types, codes and layouts are those of vitasdk;
// budgets, granules and who returns which code are what ports and their authors
// have reported. The Sim shows the hardware so far as that goes, and Vita3K as its
// source has it. Where nobody has reported anything it is strict: sizes between
// granules are refused, alignments with PHYCONT too, addresses run out with a code of
// their own. The budgets of USER_MAIN_GAME_RW are not known; it counts as main
// memory. What cannot be simulated is what memory does that is not cached, that is
// read only or that is not executable, and what a call costs.
package vita
