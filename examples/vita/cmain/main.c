// A C program around the game, as a port would have it.

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "vitagame.h" // made by go build -buildmode=c-archive

// What newlib takes of main memory for malloc, before main, and would take too if this
// was not defined: what the simulation has, vita.Console.Heap, is to be the same. Go's
// own heap comes out of it on the console; the game's memory does not.
unsigned int _newlib_heap_size_user = 128 * 1024 * 1024;

int main(int argc, char **argv) {
	long frames = 0; // all of them
	if (argc > 1) {
		char *end;
		frames = strtol(argv[1], &end, 10);
		if (argc > 2 || end == argv[1] || *end != 0 || frames < 1 || frames > INT_MAX) {
			fprintf(stderr, "usage: game [number of frames]\n");
			return 2;
		}
	}
	int status = VitaGame((int)frames);
	printf("C: VitaGame=%d\n", status);
	return status;
}
