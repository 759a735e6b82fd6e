/* TinyGo declares mmap as musl has it, with an offset of 64 bits. To glibc on 32
 * bits that is mmap64. */

void *mmap64(void *addr, unsigned size, int prot, int flags, int fd, long long offset);

void *mmap(void *addr, unsigned size, int prot, int flags, int fd, long long offset) {
	return mmap64(addr, size, prot, flags, fd, offset);
}
