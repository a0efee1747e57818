/*
 * The loader's binary interface: the one header that pload/ and native/ share, mirrored by src/engine/call-list.ts.
 *
 * A call list is a block of memory inside the new process: a header, `count` calls, then free data bytes. The engine
 * writes it, points RDI at it and RIP at the loader's `run` entry, and lets the thread go. The loader performs the calls
 * in order, stores every result in its call, and stops at an int3 when the list has ended or a call has failed.
 * The layout is little endian, naturally aligned; sizes are asserted on both sides.
 */
#ifndef PLOAD_ABI_H
#define PLOAD_ABI_H

#include <stdint.h>

#define PLOAD_ABI_VERSION 1
#define PLOAD_NOTE_NAME "pmigrate"
#define PLOAD_NOTE_TYPE 0x504d4947u /* "PMIG": PT_NOTE whose descriptor is a struct pload_note */

/* Offsets are from the first byte of the loader's only PT_LOAD segment (read + execute, nothing writable). */
struct pload_note {
	uint32_t abi_version;
	uint32_t run_offset;     /* void run(struct pload_list *list): never returns, ends in int3 */
	uint32_t init_offset;    /* void init_main(struct pload_init *): pid 1 of a new PID namespace; never returns */
	uint32_t syscall_offset; /* a `syscall` instruction followed by int3, for calls that the engine makes through ptrace */
};

#define PLOAD_LIST_MAGIC 0x54534c50u /* "PLST" */
#define PLOAD_SLOTS 64

struct pload_list {
	uint32_t magic;
	uint32_t count;       /* number of calls that follow */
	uint32_t done;        /* out: number of calls performed with success; the index of the failing one on failure */
	int32_t error;        /* out: 0, or the errno of call number `done` (PLOAD_EUNEXPECTED: result is not the expected one) */
	uint64_t slots;       /* address of int64_t[PLOAD_SLOTS...], shared by several lists of one process; as many as the engine laid out */
	uint64_t reserved;
};

#define PLOAD_EUNEXPECTED 4095

/* What a call does. */
enum pload_op {
	PLOAD_OP_SYSCALL = 0, /* system call `number` */
	PLOAD_OP_CLONE = 1,   /* clone3(args[0]: struct clone_args, args[1]: size); the child runs the list at args[2] and stops at int3 */
	PLOAD_OP_STORE32 = 2, /* *(uint32_t *)args[0] = args[1] */
	PLOAD_OP_STORE64 = 3, /* *(uint64_t *)args[0] = args[1] */
	PLOAD_OP_COPY = 4,    /* memcpy(args[0], args[1], args[2]) */
	PLOAD_OP_LOAD32 = 6,  /* result = *(int32_t *)(args[0] + args[1]): a descriptor that pipe2 or socketpair stored */
};

/* How an argument is to be read (one nibble an argument in `kinds`, the lowest nibble for args[0]). */
enum pload_arg {
	PLOAD_ARG_VALUE = 0,  /* as it is */
	PLOAD_ARG_LIST = 1,   /* an offset from the start of this list: becomes an address */
	PLOAD_ARG_SLOT = 2,   /* the value of slot number args[i] */
};

/* What counts as success. */
enum pload_expect {
	PLOAD_EXPECT_OK = 0,     /* any result that is not -4095..-1 */
	PLOAD_EXPECT_EXACT = 1,  /* result == expected */
	PLOAD_EXPECT_ANY = 2,    /* also an error: the engine looks at the result afterwards */
};

struct pload_call {
	uint16_t op;
	uint16_t expect;
	uint32_t number;      /* system call number */
	uint32_t kinds;       /* 6 nibbles of enum pload_arg */
	uint32_t slot;        /* result goes to slot `slot - 1` too; 0: to none */
	uint64_t args[6];
	int64_t expected;     /* for PLOAD_EXPECT_EXACT */
	int64_t result;       /* out: as the kernel gave it, -errno on error */
};

struct pload_init {
	uint32_t child_pid;     /* pid, inside the namespace, whose end ends init; its status becomes init's */
	uint32_t reserved;
};

#ifdef __cplusplus
#define PLOAD_ASSERT static_assert
#else
#define PLOAD_ASSERT _Static_assert
#endif
PLOAD_ASSERT(sizeof(struct pload_note) == 16, "pload_note");
PLOAD_ASSERT(sizeof(struct pload_list) == 32, "pload_list");
PLOAD_ASSERT(sizeof(struct pload_call) == 80, "pload_call");

#endif
