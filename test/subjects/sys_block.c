/* Endless waits go on until what they wait for comes: read, futex, epoll_wait, pause, sigsuspend, sigtimedwait, poll. */
#include "subject.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>

static int pipes[4][2];
static int word;
static int handled[8];
static int done[8];
enum { READ, FUTEX, EPOLL, PAUSE, SUSPEND, SIGWAIT, POLL, COUNT };

static void on_signal(int signal) { (void)signal; handled[0]++; }

static void *wait_in(void *argument)
{
	long which = (long)argument;
	char byte;
	sigset_t set;
	struct epoll_event event;
	struct pollfd poll_fd = {pipes[2][0], POLLIN, 0};
	long result = 0;

	switch (which) {
	case READ: result = read(pipes[0][0], &byte, 1) == 1; break;
	case FUTEX: result = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL) == 0; break;
	case EPOLL: {
		int fd = epoll_create1(0);
		struct epoll_event add = {.events = EPOLLIN};

		epoll_ctl(fd, EPOLL_CTL_ADD, pipes[1][0], &add);
		result = epoll_wait(fd, &event, 1, -1);
		close(fd);
		break;
	}
	case PAUSE: result = pause() == -1 && errno == EINTR && handled[0]; break;
	case SUSPEND: sigfillset(&set); sigdelset(&set, SIGUSR2); result = sigsuspend(&set) == -1 && errno == EINTR && handled[0]; break;
	case SIGWAIT: sigemptyset(&set); sigaddset(&set, SIGRTMIN); result = sigwaitinfo(&set, NULL) == SIGRTMIN; break;
	case POLL: result = poll(&poll_fd, 1, -1) == 1; break;
	}
	done[which] = result ? 1 : -1;
	if (!result)
		report("FAIL wait %ld: errno %d", which, errno);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[COUNT];
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t set;

	subject(argc, argv);
	for (int i = 0; i < 4; i++)
		pipe2(pipes[i], O_CLOEXEC);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (long i = 0; i < COUNT; i++)
		pthread_create(&threads[i], NULL, wait_in, (void *)i);
	usleep(100000);
	wait_here();
	usleep(100000);
	for (int i = 0; i < COUNT; i++)
		CHECK(done[i] == 0, "wait %d ended by itself", i);
	write(pipes[0][1], "x", 1);
	write(pipes[1][1], "x", 1);
	write(pipes[2][1], "x", 1);
	word = 1;
	syscall(SYS_futex, &word, FUTEX_WAKE, 1);
	pthread_kill(threads[PAUSE], SIGUSR1);
	pthread_kill(threads[SUSPEND], SIGUSR2);
	pthread_kill(threads[SIGWAIT], SIGRTMIN);
	for (int i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < COUNT; i++)
		CHECK(done[i] == 1, "wait %d", i);
	return finish();
}
