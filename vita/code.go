// The kernel's status codes, and the errors made of them.

package vita

import (
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/blocksrc"
)

// Code is the status that a system call returns: negative for an error, anything else for
// success. It is itself an error: errors.As finds it in every [*Error] that has one, and
// errors.Is finds a certain one.
type Code int32

// wrap lets the constants below be written as in the SDK: as numbers above 2^31, which an
// int32 holds as negative ones.
const wrap = 1 << 32

// Codes of the calls in [Kernel], with the SDK's names.
const (
	OK                      Code = 0
	InvalidArgument         Code = 0x80020005 - wrap // INVALID_ARGUMENT
	IllegalAddr             Code = 0x80020006 - wrap // ILLEGAL_ADDR
	IllegalAlignment        Code = 0x80020007 - wrap // ILLEGAL_ALIGNMENT
	InvalidArgumentSize     Code = 0x80020009 - wrap // INVALID_ARGUMENT_SIZE: of a struct
	IllegalSize             Code = 0x8002000B - wrap // ILLEGAL_SIZE
	UIDNameTooLong          Code = 0x80024002 - wrap // UID_NAME_TOO_LONG: above 31 bytes
	NoFreePhysicalPage      Code = 0x80024302 - wrap // NO_FREE_PHYSICAL_PAGE: main memory is exhausted
	NoFreePhysicalPageUnit  Code = 0x80024303 - wrap // NO_FREE_PHYSICAL_PAGE_UNIT
	NoFreePhysicalPageCDRAM Code = 0x80024309 - wrap // NO_FREE_PHYSICAL_PAGE_CDRAM: CDRAM is exhausted
	InvalidUID              Code = 0x80024501 - wrap // INVALID_UID
	UIDCannotFindByName     Code = 0x8002450A - wrap // UID_CANNOT_FIND_BY_NAME
	UIDMaxOpen              Code = 0x8002450C - wrap // UID_MAX_OPEN
	BlockError              Code = 0x80024700 - wrap // BLOCK_ERROR: no block is at an address
	IllegalBlockID          Code = 0x80024701 - wrap // ILLEGAL_BLOCK_ID
	BlockInUse              Code = 0x80024703 - wrap // BLOCK_IN_USE
	SysmemAddressSpaceError Code = 0x80024A00 - wrap // SYSMEM_ADDRESS_SPACE_ERROR: no such pool, or no addresses left
	IllegalMemBlockType     Code = 0x80024B01 - wrap // ILLEGAL_MEMBLOCK_TYPE
	IllegalMemBlockSize     Code = 0x80024B05 - wrap // ILLEGAL_MEMBLOCK_SIZE
	MemBlockRangeError      Code = 0x80024B09 - wrap // MEMBLOCK_RANGE_ERROR
	MemBlockOverflow        Code = 0x80024B0B - wrap // MEMBLOCK_OVERFLOW: more than the VM domain has
	NoSuchName              Code = 0x80024E01 - wrap // NO_SUCH_NAME
	DuplicateName           Code = 0x80024E02 - wrap // DUPLICATE_NAME
	NoMemory                Code = 0x8002710B - wrap // NO_MEMORY: any exhaustion in Vita3K
	UnknownUID              Code = 0x80028001 - wrap // UNKNOWN_UID
)

var codeNames = [...]struct {
	code Code
	name string
}{
	{OK, "OK"},
	{InvalidArgument, "INVALID_ARGUMENT"},
	{IllegalAddr, "ILLEGAL_ADDR"},
	{IllegalAlignment, "ILLEGAL_ALIGNMENT"},
	{InvalidArgumentSize, "INVALID_ARGUMENT_SIZE"},
	{IllegalSize, "ILLEGAL_SIZE"},
	{UIDNameTooLong, "UID_NAME_TOO_LONG"},
	{NoFreePhysicalPage, "NO_FREE_PHYSICAL_PAGE"},
	{NoFreePhysicalPageUnit, "NO_FREE_PHYSICAL_PAGE_UNIT"},
	{NoFreePhysicalPageCDRAM, "NO_FREE_PHYSICAL_PAGE_CDRAM"},
	{InvalidUID, "INVALID_UID"},
	{UIDCannotFindByName, "UID_CANNOT_FIND_BY_NAME"},
	{UIDMaxOpen, "UID_MAX_OPEN"},
	{BlockError, "BLOCK_ERROR"},
	{IllegalBlockID, "ILLEGAL_BLOCK_ID"},
	{BlockInUse, "BLOCK_IN_USE"},
	{SysmemAddressSpaceError, "SYSMEM_ADDRESS_SPACE_ERROR"},
	{IllegalMemBlockType, "ILLEGAL_MEMBLOCK_TYPE"},
	{IllegalMemBlockSize, "ILLEGAL_MEMBLOCK_SIZE"},
	{MemBlockRangeError, "MEMBLOCK_RANGE_ERROR"},
	{MemBlockOverflow, "MEMBLOCK_OVERFLOW"},
	{NoSuchName, "NO_SUCH_NAME"},
	{DuplicateName, "DUPLICATE_NAME"},
	{NoMemory, "NO_MEMORY"},
	{UnknownUID, "UNKNOWN_UID"},
}

// Name returns the SDK's name without its prefix, or "" for a code not listed above.
func (c Code) Name() string {
	for i := range codeNames {
		if codeNames[i].code == c {
			return codeNames[i].name
		}
	}
	return ""
}

// Error returns the number and, if it has one, the name.
func (c Code) Error() string {
	if name := c.Name(); name != "" {
		return fmt.Sprintf("0x%08X %s", uint32(c), name)
	}
	return fmt.Sprintf("0x%08X", uint32(c))
}

// Exhausted tells whether c means that there is no room: another pool may have some, or
// this one once something has been freed.
func (c Code) Exhausted() bool {
	switch c {
	case NoFreePhysicalPage, NoFreePhysicalPageUnit, NoFreePhysicalPageCDRAM,
		SysmemAddressSpaceError, MemBlockOverflow, NoMemory:
		return true
	}
	return false
}

// unknown tells whether c means that there is no block with that UID.
func (c Code) unknown() bool {
	return c == InvalidUID || c == IllegalBlockID || c == UnknownUID
}

// Error is a request that failed. errors.Is and errors.As see through it to Code and Err.
type Error struct {
	Call Call    // the call that failed, or would have failed
	Type MemType // of the block
	Size int     // in bytes: of the request, or of the block to be freed

	// Code is the kernel's status. For a request that makes no sense and was not passed
	// on, it is the code that best says why. It is OK if no code fits.
	Code Code

	// Err is package blocksrc's error for the failure, such as [blocksrc.ErrExhausted],
	// or another explanation. It may be nil.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("vita: %s: %d bytes of %v", e.Call, e.Size, e.Type)
	if e.Code != OK {
		s += ": " + e.Code.Error()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Code, unless it is OK, and Err, unless it is nil.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Code != OK {
		errs = append(errs, e.Code)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// What Err may be besides the errors of package blocksrc.
var (
	errBeyond   = fmt.Errorf("%w: %w", blocksrc.ErrInvalid, blocksrc.ErrExhausted)
	errReadOnly = fmt.Errorf("%w: the type is read only", blocksrc.ErrInvalid)
	errName     = fmt.Errorf("%w: Source.Name has more than %d bytes, or a zero byte", blocksrc.ErrInvalid, maxName-suffix)
	errBase     = errors.New("the block is not where its type and alignment allow")
)
