/* What belongs to the process: ids, folders, limits, scheduling, names, switches. */
#include "subject.h"
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>

#define ROOM 8192
static char *state(void)
{
	char *out = calloc(1, ROOM), cwd[4096], name[16];
	struct rlimit core, files;
	cpu_set_t cpus;
	int death = 0, reaper = 0;

	getcwd(cwd, sizeof cwd);
	mode_t mask = umask(0);
	umask(mask);
	prctl(PR_GET_NAME, name);
	prctl(PR_GET_PDEATHSIG, &death);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof cpus, &cpus);
	snprintf(out, ROOM, "pid %d tid %d cwd %s umask %o name %s death %d reaper %d core %lu files %lu/%lu nice %d policy %d cpus %d first %d ioprio %ld personality %x dumpable %d slack %d nnp %d oom %s tidaddress",
		 getpid(), gettid(), cwd, mask, name, death, reaper, core.rlim_cur, files.rlim_cur, files.rlim_max, getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), CPU_COUNT(&cpus), CPU_ISSET(0, &cpus),
		 syscall(SYS_ioprio_get, 1, 0), personality(0xffffffff), prctl(PR_GET_DUMPABLE), prctl(PR_GET_TIMERSLACK), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), slurp("/proc/self/oom_score_adj", 64));
	return out;
}

int main(int argc, char **argv)
{
	struct rlimit core = {4096, 8192}, files = {512, 1024};
	struct sched_param param = {0};
	cpu_set_t one;
	unsigned long tid_address = 0, head = 0, length = 0, later = 0;

	subject(argc, argv);
	chdir("/usr/share");
	umask(027);
	prctl(PR_SET_NAME, "a ) R 1 (name");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_TIMERSLACK, 70000);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	personality(ADDR_NO_RANDOMIZE);
	setrlimit(RLIMIT_CORE, &core);
	setrlimit(RLIMIT_NOFILE, &files);
	setpriority(PRIO_PROCESS, 0, 5);
	sched_setscheduler(0, SCHED_BATCH, &param);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof one, &one);
	syscall(SYS_ioprio_set, 1, 0, (2 << 13) | 6);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	write(fd, "123", 3);
	close(fd);
	prctl(40 /* PR_GET_TID_ADDRESS */, &tid_address);
	syscall(SYS_get_robust_list, 0, &head, &length);
	char *before = state();
	wait_here();
	char *now = state();
	CHECK(strcmp(before, now) == 0, "before: %s\nnow: %s", before, now);
	prctl(40, &later);
	CHECK(later == tid_address);
	syscall(SYS_get_robust_list, 0, &later, &length);
	CHECK(later == head);
	return finish();
}
