/* Sleeps and waits with time-outs end when they would have ended: not early, not with EINTR, not a whole length later. */
#include "subject.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#define LENGTH 8.0
#define LATE 1.0
struct sleeper {
	const char *name;
	int (*sleep)(void);
	int expected; /* result when nothing happens */
	int expected_errno;
};
static const struct timespec length = {8, 0};

static struct timespec deadline(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_sec += 8;
	return t;
}
static int with_rem(void) { struct timespec rem; return syscall(SYS_nanosleep, &length, &rem); }
static int without_rem(void) { return syscall(SYS_nanosleep, &length, NULL); }
static int clock_relative(void) { return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &length, NULL); }
static int clock_absolute(void) { struct timespec t = deadline(CLOCK_MONOTONIC); return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL); }
static int by_poll(void) { return syscall(SYS_poll, NULL, 0, 8000); }
static int by_ppoll(void) { struct timespec t = length; return syscall(SYS_ppoll, NULL, 0, &t, NULL, 8); }
static int by_select(void) { struct timeval t = {8, 0}; return syscall(SYS_select, 0, NULL, NULL, NULL, &t); }
static int by_epoll(void) { struct epoll_event e; int fd = epoll_create1(0); int r = syscall(SYS_epoll_wait, fd, &e, 1, 8000); close(fd); return r; }
static int by_epoll_pwait(void) { struct epoll_event e; int fd = epoll_create1(0); int r = syscall(SYS_epoll_pwait, fd, &e, 1, 8000, NULL, 8); close(fd); return r; }
static int by_futex(void) { static int word; return syscall(SYS_futex, &word, FUTEX_WAIT, 0, &length); }
static int by_futex_absolute(void) { static int word; struct timespec t = deadline(CLOCK_MONOTONIC); return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &t, NULL, -1); }

static const struct sleeper sleepers[] = {
	{"nanosleep with rem", with_rem, 0, 0},
	{"nanosleep without rem", without_rem, 0, 0},
	{"clock_nanosleep", clock_relative, 0, 0},
	{"clock_nanosleep absolute", clock_absolute, 0, 0},
	{"poll", by_poll, 0, 0},
	{"ppoll", by_ppoll, 0, 0},
	{"select", by_select, 0, 0},
	{"epoll_wait", by_epoll, 0, 0},
	{"epoll_pwait", by_epoll_pwait, 0, 0},
	{"futex", by_futex, -1, ETIMEDOUT},
	{"futex absolute", by_futex_absolute, -1, ETIMEDOUT},
};
#define SLEEPERS (sizeof sleepers / sizeof *sleepers)

static void *run(void *argument)
{
	const struct sleeper *sleeper = argument;
	double began = seconds();
	int result = sleeper->sleep();
	int error = result < 0 ? errno : 0;
	double took = seconds() - began;

	CHECK(result == sleeper->expected && error == sleeper->expected_errno, "%s: result %d errno %d after %.3f s", sleeper->name, result, error, took);
	CHECK(took >= LENGTH - 0.01 && took < LENGTH + LATE, "%s took %.3f s", sleeper->name, took);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[SLEEPERS];

	subject(argc, argv);
	for (unsigned i = 0; i < SLEEPERS; i++)
		pthread_create(&threads[i], NULL, run, (void *)&sleepers[i]);
	usleep(300000);
	wait_here();
	for (unsigned i = 0; i < SLEEPERS; i++)
		pthread_join(threads[i], NULL);
	return finish();
}
