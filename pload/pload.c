/*
 * The loader: interprets a list of system calls inside a new process (abi.h). Rules: freestanding, no libc, no writable
 * data, no relocations; it runs from wherever the engine has copied its one segment. As a program of its own it only
 * waits to be taken over by ptrace.
 */
#include "abi.h"
#include "syscall.h"

#define ENTRY __attribute__((section(".text.entry"), used, noreturn, visibility("hidden")))

ENTRY void run(struct pload_list *list);
ENTRY void init_main(struct pload_init *init);

/* A system call instruction for calls that the engine makes itself (pload_note.syscall_offset). */
__asm__(".section .text.entry,\"ax\",@progbits\n"
	".hidden pload_syscall\n"
	".globl pload_syscall\n"
	"pload_syscall:\n"
	"\tsyscall\n"
	"\tint3\n"
	".hidden _start\n"
	".globl _start\n"
	"_start:\n"
	"1:\tmovl $34, %eax\n" /* pause: until the engine takes over */
	"\tsyscall\n"
	"\tjmp 1b\n"
	".previous\n");

static uint64_t argument(const struct pload_list *list, const struct pload_call *call, unsigned index)
{
	uint64_t value = call->args[index];

	switch ((call->kinds >> (4 * index)) & 15) {
	case PLOAD_ARG_LIST:
		return (uint64_t)list + value;
	case PLOAD_ARG_SLOT:
		return ((const uint64_t *)list->slots)[value];
	default:
		return value;
	}
}

static int64_t perform(const struct pload_list *list, const struct pload_call *call)
{
	uint64_t args[6];

	for (unsigned i = 0; i < 6; i++)
		args[i] = argument(list, call, i);
	switch (call->op) {
	case PLOAD_OP_SYSCALL:
		return sys_call(call->number, args);
	case PLOAD_OP_CLONE:
		return sys_clone3(args[0], args[1], args[2]);
	case PLOAD_OP_STORE32:
		*(volatile uint32_t *)args[0] = (uint32_t)args[1];
		return 0;
	case PLOAD_OP_STORE64:
		*(volatile uint64_t *)args[0] = args[1];
		return 0;
	case PLOAD_OP_COPY:
		for (uint64_t i = 0; i < args[2]; i++)
			((volatile uint8_t *)args[0])[i] = ((const volatile uint8_t *)args[1])[i];
		return 0;
	case PLOAD_OP_LOAD32:
		return *(volatile int32_t *)(args[0] + args[1]);
	default:
		return -38; /* ENOSYS */
	}
}

/* The errno that the list ends with, 0 when the result counts as success. */
static int32_t verdict(const struct pload_call *call)
{
	if (call->expect == PLOAD_EXPECT_ANY)
		return 0;
	if (is_error(call->result))
		return (int32_t)-call->result;
	if (call->expect == PLOAD_EXPECT_EXACT && call->result != call->expected)
		return PLOAD_EUNEXPECTED;
	return 0;
}

/* Performs the calls in order, up to the first that fails, and traps. The engine decides what comes next. */
ENTRY void run(struct pload_list *list)
{
	struct pload_call *calls = (struct pload_call *)(list + 1);

	for (list->done = 0; list->done < list->count; list->done++) {
		struct pload_call *call = &calls[list->done];

		call->result = perform(list, call);
		list->error = verdict(call);
		if (list->error)
			break;
		if (call->slot)
			((int64_t *)list->slots)[call->slot - 1] = call->result;
	}
	for (;;)
		trap();
}

/* pid 1 of a namespace: reaps everything, and ends as the process for whose sake the namespace exists has ended. */
ENTRY void init_main(struct pload_init *init)
{
	for (;;) {
		int status = 0;
		uint64_t wait[6] = {(uint64_t)-1, (uint64_t)&status, 0, 0, 0, 0};
		int64_t pid = sys_call(SYS_wait4, wait);
		int ended = pid == (int64_t)init->child_pid;

		if (ended || pid == ECHILD_RESULT) {
			uint64_t code = (status & 0x7f) ? 128u + (status & 0x7f) : ((unsigned)status >> 8) & 0xff;
			uint64_t leave[6] = {code, 0, 0, 0, 0, 0};

			sys_call(SYS_exit_group, leave);
		}
	}
}

/* Offsets from the first byte of the segment, which pload.ld links at 0x10000. */
__asm__(".section .note.pmigrate,\"a\",@note\n"
	".balign 4\n"
	".long 9, 16, 0x504d4947\n"
	".asciz \"pmigrate\"\n"
	".balign 4\n"
	".long 1\n" /* PLOAD_ABI_VERSION */
	".long run - 0x10000\n"
	".long init_main - 0x10000\n"
	".long pload_syscall - 0x10000\n"
	".previous\n");
