// A C program around the game, as a port would have it.

#include <stdio.h>
#include <stdlib.h>

#include "vitagame.h" // made by go build -buildmode=c-archive

// What newlib takes of main memory for malloc, before main: 128 MiB if this is not
// defined. Go's own heap comes out of it on the console; the game's memory does not.
unsigned int _newlib_heap_size_user = 64 * 1024 * 1024;

int main(int argc, char **argv) {
	int status = VitaGame(argc > 1 ? atoi(argv[1]) : 0);
	printf("C: VitaGame=%d\n", status);
	return status;
}
