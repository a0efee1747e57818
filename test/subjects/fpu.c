/* x87 control word and stack, MXCSR, SSE and AVX registers of a thread that never leaves user space meanwhile. */
#include "subject.h"

static volatile int stop;
static uint8_t before[32 * 16], after[32 * 16];
static uint16_t control_before = 0x0f7f & ~0x0c00, control_after;
static uint32_t mxcsr_before = 0x1f80 | 0x6000, mxcsr_after;
static double x87_after;

static void *spin(void *unused)
{
	(void)unused;
	__asm__ volatile("fninit\n fldcw %0\n fldpi\n ldmxcsr %1" : : "m"(control_before), "m"(mxcsr_before));
	__asm__ volatile("vmovdqu (%0), %%ymm0\n vmovdqu 32(%0), %%ymm1\n vmovdqu 64(%0), %%ymm7\n vmovdqu 96(%0), %%ymm15\n"
			 "1: movl (%2), %%eax\n testl %%eax, %%eax\n jz 1b\n"
			 "vmovdqu %%ymm0, (%1)\n vmovdqu %%ymm1, 32(%1)\n vmovdqu %%ymm7, 64(%1)\n vmovdqu %%ymm15, 96(%1)\n"
			 : : "r"(before), "r"(after), "r"(&stop) : "eax", "xmm0", "xmm1", "xmm7", "xmm15", "memory");
	__asm__ volatile("fstpl %0\n fnstcw %1\n stmxcsr %2" : "=m"(x87_after), "=m"(control_after), "=m"(mxcsr_after));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	subject(argc, argv);
	NEED(__builtin_cpu_supports("avx"));
	for (unsigned i = 0; i < sizeof before; i++)
		before[i] = i * 7 + 1;
	pthread_create(&thread, NULL, spin, NULL);
	usleep(50000);
	wait_here();
	stop = 1;
	pthread_join(thread, NULL);
	CHECK(memcmp(before, after, 128) == 0);
	CHECK(control_after == control_before);
	CHECK((mxcsr_after & ~0x3fu) == mxcsr_before);
	CHECK(x87_after > 3.14159265 && x87_after < 3.14159266);
	return finish();
}
