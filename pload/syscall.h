/* System calls and compiler barriers, the only things that the loader needs from the machine. Rule: sys_* returns -errno. */
#ifndef PLOAD_SYSCALL_H
#define PLOAD_SYSCALL_H

#include <stdint.h>

#include "arch/x86_64/syscall.h"

#define SYS_pause 34
#define SYS_wait4 61
#define SYS_exit_group 231
#define ECHILD_RESULT (-10)

/* True for the results that mean an error (-4095..-1). */
static inline int is_error(int64_t result)
{
	return (uint64_t)result >= (uint64_t)-4095;
}

#endif
