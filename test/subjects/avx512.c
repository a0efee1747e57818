/* AVX-512: zmm0-31 upper parts and opmask registers of a spinning thread. */
#include "subject.h"

static volatile int stop;
static uint8_t before[64 * 4], after[64 * 4];
static uint64_t mask_after;

static void *spin(void *unused)
{
	(void)unused;
	__asm__ volatile("vmovdqu64 (%0), %%zmm0\n vmovdqu64 64(%0), %%zmm15\n vmovdqu64 128(%0), %%zmm16\n vmovdqu64 192(%0), %%zmm31\n"
			 "movl $0x1a5b, %%eax\n kmovw %%eax, %%k3\n"
			 "1: movl (%2), %%eax\n testl %%eax, %%eax\n jz 1b\n"
			 "vmovdqu64 %%zmm0, (%1)\n vmovdqu64 %%zmm15, 64(%1)\n vmovdqu64 %%zmm16, 128(%1)\n vmovdqu64 %%zmm31, 192(%1)\n"
			 "kmovw %%k3, %%eax\n movq %%rax, (%3)\n"
			 : : "r"(before), "r"(after), "r"(&stop), "r"(&mask_after) : "rax", "memory");
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	subject(argc, argv);
	NEED(__builtin_cpu_supports("avx512f"));
	for (unsigned i = 0; i < sizeof before; i++)
		before[i] = i * 11 + 3;
	pthread_create(&thread, NULL, spin, NULL);
	usleep(50000);
	wait_here();
	stop = 1;
	pthread_join(thread, NULL);
	CHECK(memcmp(before, after, sizeof before) == 0);
	CHECK(mask_after == 0x1a5b);
	return finish();
}
