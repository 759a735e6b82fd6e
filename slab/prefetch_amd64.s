//go:build gc && !tinygo && !purego

#include "textflag.h"

// func prefetch(base unsafe.Pointer, stride uintptr, slots uint64)
TEXT ·prefetch(SB), NOSPLIT, $0-24
	MOVQ base+0(FP), AX
	MOVQ stride+8(FP), BX
	MOVQ slots+16(FP), CX
	JMP  test

next:
	BSFQ       CX, DX
	IMULQ      BX, DX
	PREFETCHT0 (AX)(DX*1)
	LEAQ       -1(CX), DX
	ANDQ       DX, CX

test:
	TESTQ CX, CX
	JNZ   next
	RET
