/* Restartable sequences stay registered: glibc's cpu_id is fresh after thaw. */
#include "subject.h"
#include <sched.h>
#include <sys/rseq.h>

int main(int argc, char **argv)
{
	subject(argc, argv);
	NEED(__rseq_size > 0);
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	cpu_set_t set;

	wait_here();
	for (int cpu = 0; cpu < 2; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof set, &set) < 0)
			continue;
		CHECK((int)area->cpu_id == cpu, "cpu_id %d on cpu %d", (int)area->cpu_id, cpu);
	}
	CHECK(syscall(SYS_rseq, area, 32, 0, RSEQ_SIG) < 0 && (errno == EBUSY || errno == EINVAL), "errno %d: it was not registered", errno);
	return finish();
}
