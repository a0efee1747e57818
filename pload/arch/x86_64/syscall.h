/* The system call instruction of x86_64, entry glue and clone3, which returns twice on different stacks. */
#ifndef PLOAD_ARCH_SYSCALL_H
#define PLOAD_ARCH_SYSCALL_H

#include <stdint.h>

static inline int64_t sys_call(uint64_t number, const uint64_t args[6])
{
	register uint64_t r10 __asm__("r10") = args[3];
	register uint64_t r8 __asm__("r8") = args[4];
	register uint64_t r9 __asm__("r9") = args[5];
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/*
 * clone3(args, size). The child, which may have a stack of its own, never returns into the parent's frame: it calls
 * run(list) at once. r12 keeps the list as the kernel preserves it in both.
 */
static inline int64_t sys_clone3(uint64_t args, uint64_t size, uint64_t list)
{
	int64_t result;
	register uint64_t kept __asm__("r12") = list;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "andq $-16, %%rsp\n\t"
			 "movq %%r12, %%rdi\n\t"
			 "call run\n\t"
			 "1:"
			 : "=a"(result)
			 : "a"(435), "D"(args), "S"(size), "r"(kept)
			 : "rcx", "r11", "memory");
	return result;
}

static inline void trap(void)
{
	__asm__ volatile("int3");
}

#endif
