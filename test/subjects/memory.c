/* Private memory of every kind: heap, stack, PROT_NONE and read-only with contents, zeros, guards, reservations, advice. */
#include "subject.h"
#include <setjmp.h>

#define MIB (1ul << 20)
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static void fill(uint8_t *p, size_t n, unsigned seed) { for (size_t i = 0; i < n; i++) p[i] = (i * 31 + i / 4096 + seed) & 0xff; }
static int same(const uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ((i * 31 + i / 4096 + seed) & 0xff))
			return 0;
	return 1;
}
static int deep(int n) { volatile char room[4096]; room[0] = n; return n == 0 ? room[0] : deep(n - 1) + room[0] * 0; }
static sigjmp_buf back;
static void on_fault(int signal) { siglongjmp(back, signal); }
static int faults(volatile uint8_t *p) { return sigsetjmp(back, 1) ? 1 : (*p, 0); }

int main(int argc, char **argv)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;

	subject(argc, argv);
	uint8_t *plain = mmap(NULL, 8 * MIB, prot, flags, -1, 0);
	uint8_t *none = mmap(NULL, MIB, prot, flags, -1, 0);
	uint8_t *read_only = mmap(NULL, MIB, prot, flags, -1, 0);
	uint8_t *sparse = mmap(NULL, 100ul << 30, PROT_NONE, flags | MAP_NORESERVE, -1, 0);
	uint8_t *touched = mmap(NULL, 64 * MIB, prot, flags, -1, 0);
	uint8_t *advised = mmap(NULL, MIB, prot, flags, -1, 0);
	uint8_t *guarded = mmap(NULL, MIB, prot, flags, -1, 0);
	uint8_t *heap = sbrk(3 * MIB);

	fill(plain, 8 * MIB, 1);
	fill(none, MIB, 2);
	mprotect(none, MIB, PROT_NONE);
	fill(read_only, MIB, 3);
	mprotect(read_only, MIB, PROT_READ);
	mprotect(sparse + (50ul << 30), 2 * MIB, prot);
	fill(sparse + (50ul << 30), MIB, 4);
	fill(touched + 32 * MIB, 4096, 5);
	memset(touched + 40 * MIB, 0, MIB);
	fill(heap, 3 * MIB, 6);
	fill(advised, MIB, 7);
	madvise(advised, MIB, MADV_DONTFORK);
	fill(guarded, MIB, 8);
	int has_guards = madvise(guarded + MIB / 2, 8192, MADV_GUARD_INSTALL) == 0;
	wait_here();
	CHECK(same(plain, 8 * MIB, 1));
	mprotect(none, MIB, prot);
	CHECK(same(none, MIB, 2));
	CHECK(same(read_only, MIB, 3));
	signal(SIGSEGV, on_fault);
	CHECK(faults(sparse) == 1);
	CHECK(sigsetjmp(back, 1) || (read_only[0] = 1, 0), "read-only memory is writable");
	CHECK(same(sparse + (50ul << 30), MIB, 4) && sparse[(50ul << 30) + MIB] == 0);
	CHECK(same(touched + 32 * MIB, 4096, 5) && touched[40 * MIB] == 0 && touched[5] == 0);
	CHECK(same(heap, 3 * MIB, 6));
	CHECK(same(advised, MIB, 7));
	CHECK(same(guarded, MIB / 2, 8));
	if (has_guards)
		CHECK(faults(guarded + MIB / 2) == 1 && faults(guarded + MIB / 2 + 4096) == 1 && faults(guarded + MIB / 2 + 8192) == 0);
	uint8_t *more = sbrk(MIB);
	CHECK(more == heap + 3 * MIB, "heap grew at %p, expected %p", (void *)more, (void *)(heap + 3 * MIB));
	memset(more, 1, MIB);
	CHECK(deep(800) == 0);
	madvise(plain, 4096, MADV_DONTNEED);
	CHECK(plain[0] == 0);
	return finish();
}
