/* The random numbers that Go programs ask Windows for, which Wine 8 lacks. */

#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T size) {
	return SystemFunction036(buffer, (ULONG)size);
}
