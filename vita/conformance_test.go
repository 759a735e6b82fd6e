package vita_test

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/vita-go/deblockator/vita"
)

// The table of calls and what every kernel returns for them. Numbers are written out and
// not taken from the package, because the package is checked against them.

const (
	kib = 1 << 10
	mib = 1 << 20
)

// A row is one or more calls and the status of the last.
type row struct {
	what     string
	do       func(c *calls) vita.Code
	hardware uint32
	vita3k   uint32
}

// same is a row on which all kernels agree.
func same(what string, code uint32, do func(c *calls) vita.Code) row {
	return row{what, do, code, code}
}

var conformance = []row{
	// Sizes: the granule is 4 KiB, for CDRAM 256 KiB, for PHYCONT 1 MiB.
	same("a page of main memory", 0, alloc(0x0C20D060, 4*kib, 0)),
	{"half a page", alloc(0x0C20D060, 2*kib, 0), 0x80024B05, 0},
	{"a page and a byte", alloc(0x0C20D060, 4*kib+1, 0), 0x80024B05, 0},
	same("a page of uncached memory", 0, alloc(0x0C208060, 4*kib, 0)),
	same("three granules of CDRAM", 0, alloc(0x09408060, 768*kib, 0)),
	same("a granule of CDRAM", 0, alloc(0x09408060, 256*kib, 0)),
	{"half a granule of CDRAM", alloc(0x09408060, 128*kib, 0), 0x80024B05, 0},
	{"a page of CDRAM", alloc(0x09404060, 4*kib, 0), 0x80024B05, 0},
	same("a granule of PHYCONT", 0, alloc(0x0C80D060, mib, 0)),
	{"half a granule of PHYCONT", alloc(0x0C80D060, 512*kib, 0), 0x80024B05, 0},
	{"a page of uncached PHYCONT", alloc(0x0D808060, 4*kib, 0), 0x80024B05, 0},
	same("nothing", 0x80020005, alloc(0x0C20D060, 0, 0)),

	// Alignments.
	same("a larger alignment", 0, alloc(0x0C20D060, 4*kib, 64*kib)),
	same("a smaller one", 0, alloc(0x0C20D060, 4*kib, 64)),
	same("of CDRAM", 0, alloc(0x09408060, 256*kib, mib)),
	same("no power of two", 0x80020005, alloc(0x0C20D060, 4*kib, 3*4*kib)),
	{"of PHYCONT", alloc(0x0C80D060, mib, mib), 0x80020005, 0},
	{"enormous", alloc(0x0C20D060, 4*kib, 1<<31), 0x80024302, 0x8002710B},

	// Types.
	{"no type", alloc(0, 4*kib, 0), 0x80024B01, 0},
	{"an unknown type", alloc(0x0C20D061, 4*kib, 0), 0x80024B01, 0},
	{"a kernel's type", alloc(0x0C20D050, 4*kib, 0), 0x80024B01, 0},

	// Budgets.
	{"more than main memory", alloc(0x0C20D060, testUser+4*kib, 0), 0x80024302, 0},
	same("all of main memory", 0, alloc(0x0C20D060, testUser, 0)),
	{"more than CDRAM", alloc(0x09408060, testCDRAM+256*kib, 0), 0x80024309, 0},
	same("all of CDRAM", 0, alloc(0x09408060, testCDRAM, 0)),
	{"more than PHYCONT", alloc(0x0C80D060, testPhycont+mib, 0), 0x80024302, 0},
	{"the last page and one more", func(c *calls) vita.Code {
		_ = alloc(0x0C20D060, testUser-4*kib, 0)(c)
		if code := alloc(0x0C208060, 4*kib, 0)(c); code != 0 {
			return code
		}
		return alloc(0x0C50D060, 4*kib, 0)(c)
	}, 0x80024302, 0},
	{"nearly 4 GiB", alloc(0x0C20D060, 0xFFF00000, 0), 0x80024302, 0x8002710B},
	same("what was freed", 0, func(c *calls) vita.Code {
		_ = alloc(0x09408060, testCDRAM, 0)(c)
		c.drop()
		return alloc(0x09408060, testCDRAM, 0)(c)
	}),

	// Names.
	same("a name of 31 bytes", 0, allocNamed(strings.Repeat("n", 31))),
	{"a name of 32 bytes", allocNamed(strings.Repeat("n", 32)), 0x80024002, 0},
	same("no name", 0, allocNamed("")),
	same("a name twice", 0, func(c *calls) vita.Code {
		_ = allocNamed("twice")(c)
		return allocNamed("twice")(c)
	}),

	// UIDs.
	same("free", 0, func(c *calls) vita.Code { return c.k.Free(c.new(0x0C20D060, 4*kib)) }),
	{"free twice", func(c *calls) vita.Code { return c.k.Free(c.dead()) }, 0x80024501, 0x80024701},
	{"free what never was", func(c *calls) vita.Code { return c.k.Free(0x3FFFFFF2) }, 0x80024501, 0x80024701},
	{"free 0", func(c *calls) vita.Code { return c.k.Free(0) }, 0x80024501, 0x80024701},
	{"free a negative UID", func(c *calls) vita.Code { return c.k.Free(-1) }, 0x80024501, 0x80024701},
	same("base", 0, func(c *calls) vita.Code { _, code := c.k.Base(c.new(0x0C20D060, 4*kib)); return code }),
	same("base of a freed block", 0x80024501, func(c *calls) vita.Code { _, code := c.k.Base(c.dead()); return code }),
	same("base of what never was", 0x80024501, func(c *calls) vita.Code { _, code := c.k.Base(0x3FFFFFF2); return code }),

	// Addresses.
	same("find the start", 0, find(0, 0)),
	same("find one byte", 0, find(0, 1)),
	same("find all", 0, find(0, 8*kib)),
	same("find the last byte", 0, find(8*kib-1, 1)),
	{"find more than there is", find(4*kib, 4*kib+1), 0x80024700, 0},
	same("find what is behind", 0x80024700, find(8*kib, 0)),
	same("find what is before", 0x80024700, find(-1, 0)),
	same("find nothing", 0x80024700, func(c *calls) vita.Code { _, code := c.k.Find(0, 1); return code }),
	same("find a freed block", 0x80024700, func(c *calls) vita.Code {
		_, addr := c.deadAt()
		_, code := c.k.Find(addr, 1)
		return code
	}),
	same("info", 0, info(4*kib)),
	same("info behind", 0x80024700, info(8*kib)),
	same("info of a freed block", 0x80024700, func(c *calls) vita.Code {
		_, addr := c.deadAt()
		_, code := c.k.Info(addr)
		return code
	}),
	same("free sizes", 0, func(c *calls) vita.Code { _, code := c.k.FreeSizes(); return code }),

	// The VM domain: 1 MiB at a time, 16 MiB in all.
	same("1 MiB for code", 0, allocVM(mib)),
	{"4 KiB for code", allocVM(4 * kib), 0x80024B05, 0},
	{"a MiB and a page for code", allocVM(mib + 4*kib), 0x80024B05, 0},
	{"half a page for code", allocVM(2 * kib), 0x80024B05, 0x80020005},
	{"nothing for code", allocVM(0), 0x80024B05, 0x80020005},
	same("16 MiB for code", 0, allocVM(16*mib)),
	{"17 MiB for code", allocVM(17 * mib), 0x80024B0B, 0},
	{"16 MiB for code in all", func(c *calls) vita.Code { _ = allocVM(10 * mib)(c); return allocVM(7 * mib)(c) }, 0x80024B0B, 0},
	same("a name of 31 bytes for code", 0, allocVMNamed(31)),
	{"a name of 32 bytes for code", allocVMNamed(32), 0x80024002, 0},
	same("open", 0, func(c *calls) vita.Code { return c.k.OpenVM() }),
	same("close", 0, func(c *calls) vita.Code { return c.k.CloseVM() }),
	same("sync", 0, syncVM(0, mib)),
	{"sync behind", syncVM(0, mib+1), 0x80024B09, 0},
	{"sync before", syncVM(-1, 1), 0x80024B09, 0},
	same("sync the last page", 0, syncVM(mib-4*kib, 4*kib)),
	same("sync nothing at the end", 0, syncVM(mib, 0)),
	{"sync far behind", syncVM(2*mib, 1), 0x80024B09, 0},
	{"sync over the end", syncVM(mib-4*kib, 8*kib), 0x80024B09, 0},
	{"sync as much as there is, from the middle", syncVM(4*kib, mib), 0x80024B09, 0},
	{"sync nearly 4 GiB", syncVM(4*kib, 0xFFFFF000), 0x80024B09, 0},
	same("sync main memory", 0x80024701, func(c *calls) vita.Code {
		uid := c.new(0x0C20D060, 4*kib)
		return c.k.SyncVM(uid, c.base(uid), 1)
	}),
	same("sync a freed block", 0x80024701, func(c *calls) vita.Code { return c.k.SyncVM(c.dead(), 0, 1) }),
}

func TestConformance(t *testing.T) {
	for _, r := range conformance {
		t.Run(r.what, func(t *testing.T) {
			eachKernel(t, func(t *testing.T, k testKernel) {
				c := &calls{t: t, k: k}
				defer c.drop()
				want := r.hardware
				if k.profile == vita.Vita3K {
					want = r.vita3k
				}
				assert.Equal(t, vita.Code(want).Error(), r.do(c).Error())
			})
		})
	}
}

// Every type gives blocks that are aligned to its granule, writable here, and found by
// their address.
func TestConformanceOfTypes(t *testing.T) {
	granules := map[vita.MemType]uint32{
		0x0C80D060: mib, 0x0D808060: mib, 0x09408060: 256 * kib, 0x09408040: 256 * kib, 0x09404060: 256 * kib,
	}
	for _, mt := range types {
		t.Run(mt.String(), func(t *testing.T) {
			eachKernel(t, func(t *testing.T, k testKernel) {
				c := &calls{t: t, k: k}
				defer c.drop()
				granule := granules[mt]
				if granule == 0 {
					granule = 4 * kib
				}
				if k.name == "native" && (mt == vita.ToolRW || mt == vita.ToolNCRW) {
					_, code := k.Alloc("tool", mt, granule, 0)
					assert.Equal(t, vita.SysmemAddressSpaceError, code, "the fake is no development kit")
					return
				}
				uid, code := k.Alloc("block", mt, 2*granule, 0)
				if !assert.Equal(t, vita.OK, code) {
					return
				}
				c.out = append(c.out, uid)
				base, code := k.Base(uid)
				assert.Equal(t, vita.OK, code)
				assert.Equal(t, uintptr(granule), uintptr(base)&uintptr(2*granule-1), "aligned to the granule and no better")
				mem := unsafe.Slice((*byte)(base), 2*granule)
				fresh := byte(0xA5)
				if k.profile == vita.Vita3K {
					fresh = 0
				}
				for _, b := range []byte{mem[0], mem[granule], mem[2*granule-1]} {
					assert.Equal(t, fresh, b, "fresh memory")
				}
				mem[0], mem[2*granule-1] = 1, 2

				at := uintptr(base) + 5
				found, code := k.Find(at, 1)
				assert.Equal(t, vita.OK, code)
				assert.Equal(t, uid, found)
				info, code := k.Info(at)
				assert.Equal(t, vita.OK, code)
				want := vita.Info{Base: uintptr(base), Size: 2 * granule, Type: mt}
				if k.profile == vita.Hardware {
					want.MemoryType = int32(mt >> 8 & 0xFF)
					want.Access = 6
					if mt&0xFF == 0x40 {
						want.Access = 4
					}
				}
				assert.Equal(t, want, info)
			})
		})
	}
}

// A block has the alignment that was asked for, and no better one.
func TestConformanceOfAlignment(t *testing.T) {
	for _, align := range []uint32{4 * kib, 8 * kib, 64 * kib, 256 * kib, mib, 4 * mib} {
		eachKernel(t, func(t *testing.T, k testKernel) {
			c := &calls{t: t, k: k}
			defer c.drop()
			for range 3 {
				uid, code := k.Alloc("block", vita.UserRW, 4*kib, align)
				if !assert.Equal(t, vita.OK, code) {
					return
				}
				c.out = append(c.out, uid)
				assert.Equal(t, uintptr(align), c.base(uid)&uintptr(2*align-1), "to %d and no better", align)
			}
		})
	}
}

// Free sizes fall with what is taken, for each pool separately.
func TestConformanceOfFreeSizes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k testKernel) {
		if k.profile == vita.Vita3K {
			return // its counters are wrong, see TestSimVita3K
		}
		c := &calls{t: t, k: k}
		defer c.drop()
		sizes, _ := k.FreeSizes()
		assert.Equal(t, vita.FreeSizes{User: testUser, CDRAM: testCDRAM, Phycont: testPhycont}, sizes)
		c.new(vita.UserRW, 4*kib)
		c.new(vita.CDRAMRW, 512*kib)
		c.new(vita.PhycontRW, mib)
		sizes, _ = k.FreeSizes()
		assert.Equal(t, vita.FreeSizes{User: testUser - 4*kib, CDRAM: testCDRAM - 512*kib, Phycont: testPhycont - mib}, sizes)
		c.drop()
		sizes, _ = k.FreeSizes()
		assert.Equal(t, vita.FreeSizes{User: testUser, CDRAM: testCDRAM, Phycont: testPhycont}, sizes, "and rises with what goes back")
	})
}

// calls is the kernel that a row calls, and the blocks that it has made there.
type calls struct {
	t   *testing.T
	k   testKernel
	out []vita.UID
}

func (c *calls) new(mt vita.MemType, size uint32) vita.UID {
	uid, code := c.k.Alloc("block", mt, size, 0)
	assert.Equal(c.t, vita.OK, code)
	c.out = append(c.out, uid)
	return uid
}

func (c *calls) base(uid vita.UID) uintptr {
	p, code := c.k.Base(uid)
	assert.Equal(c.t, vita.OK, code)
	return uintptr(p)
}

func (c *calls) dead() vita.UID {
	uid, _ := c.deadAt()
	return uid
}

func (c *calls) deadAt() (vita.UID, uintptr) {
	uid := c.new(vita.UserRW, 4*kib)
	addr := c.base(uid)
	c.drop()
	return uid, addr
}

// drop frees the row's blocks. The row may have freed some itself.
func (c *calls) drop() {
	for _, uid := range c.out {
		_ = c.k.Free(uid)
	}
	c.out = nil
}

func alloc(mt vita.MemType, size, align uint32) func(*calls) vita.Code {
	return func(c *calls) vita.Code { return c.keep(c.k.Alloc("block", mt, size, align)) }
}

func allocNamed(name string) func(*calls) vita.Code {
	return func(c *calls) vita.Code { return c.keep(c.k.Alloc(name, vita.UserRW, 4*kib, 0)) }
}

func allocVM(size uint32) func(*calls) vita.Code {
	return func(c *calls) vita.Code { return c.keep(c.k.AllocVM("code", size)) }
}

func (c *calls) keep(uid vita.UID, code vita.Code) vita.Code {
	if code >= 0 {
		c.out = append(c.out, uid)
	}
	return code
}

// find looks for size bytes at off in a block of two pages.
func find(off int, size uint32) func(*calls) vita.Code {
	return func(c *calls) vita.Code {
		uid := c.new(vita.UserRW, 8*kib)
		found, code := c.k.Find(c.base(uid)+uintptr(off), size)
		if code >= 0 {
			assert.Equal(c.t, uid, found)
		}
		return code
	}
}

func info(off int) func(*calls) vita.Code {
	return func(c *calls) vita.Code {
		_, code := c.k.Info(c.base(c.new(vita.UserRW, 8*kib)) + uintptr(off))
		return code
	}
}

func syncVM(off int, size uint32) func(*calls) vita.Code {
	return func(c *calls) vita.Code {
		_ = allocVM(mib)(c)
		uid := c.out[0]
		return c.k.SyncVM(uid, c.base(uid)+uintptr(off), size)
	}
}

func allocVMNamed(n int) func(*calls) vita.Code {
	return func(c *calls) vita.Code { return c.keep(c.k.AllocVM(strings.Repeat("n", n), mib)) }
}
