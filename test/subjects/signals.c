/* Signal actions, masks per thread, pending signals with values and order, alternate stacks, ignored ones. */
#include "subject.h"

static int order[16], got;
static void *values[16];
static int on_stack;
static char alternate[65536];

static void on_info(int signal, siginfo_t *info, void *context) { (void)context; order[got] = signal; values[got++] = info->si_value.sival_ptr; }
static void on_alternate(int signal) { char here; (void)signal; on_stack = &here >= alternate && &here < alternate + sizeof alternate; }

static void *masked(void *argument)
{
	sigset_t set, now;
	stack_t none;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN + 5);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	syscall(SYS_tgkill, getpid(), gettid(), SIGTERM);
	wait_for_go();
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGTERM) && sigismember(&now, SIGRTMIN + 5) && !sigismember(&now, SIGHUP));
	sigpending(&now);
	CHECK(sigismember(&now, SIGTERM));
	sigaltstack(NULL, &none);
	CHECK(none.ss_flags == SS_DISABLE);
	sigwaitinfo(&set, NULL);
	return argument;
}

int main(int argc, char **argv)
{
	struct sigaction info = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_RESTART}, alt = {.sa_handler = on_alternate, .sa_flags = SA_ONSTACK};
	struct sigaction child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT}, now;
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
	pthread_t thread;
	sigset_t set, pending;

	subject(argc, argv);
	sigemptyset(&info.sa_mask);
	sigaddset(&info.sa_mask, SIGALRM);
	for (int i = 0; i < 4; i++)
		sigaction(SIGRTMIN + i, &info, NULL);
	sigaction(SIGUSR1, &alt, NULL);
	sigaction(SIGCHLD, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTRAP, SIG_IGN);
	sigaltstack(&stack, NULL);
	sigemptyset(&set);
	for (int i = 0; i < 4; i++)
		sigaddset(&set, SIGRTMIN + i);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 11});
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 12});
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 10});
	pthread_sigqueue(pthread_self(), SIGRTMIN + 2, (union sigval){.sival_int = 20});
	pthread_create(&thread, NULL, masked, NULL);
	usleep(50000);
	wait_here();
	sigaction(SIGRTMIN, NULL, &now);
	CHECK(now.sa_sigaction == on_info && (now.sa_flags & (SA_SIGINFO | SA_RESTART)) == (SA_SIGINFO | SA_RESTART) && sigismember(&now.sa_mask, SIGALRM));
	sigaction(SIGCHLD, NULL, &now);
	CHECK(now.sa_handler == SIG_DFL && (now.sa_flags & SA_NOCLDWAIT));
	sigaction(SIGPIPE, NULL, &now);
	CHECK(now.sa_handler == SIG_IGN);
	sigaction(SIGTRAP, NULL, &now);
	CHECK(now.sa_handler == SIG_IGN);
	sigpending(&pending);
	CHECK(sigismember(&pending, SIGRTMIN) && sigismember(&pending, SIGRTMIN + 1) && sigismember(&pending, SIGRTMIN + 2));
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	CHECK(got == 4, "%d signals", got);
	int sum = 0, first11 = -1, first12 = -1;
	for (int i = 0; i < got; i++) {
		sum += (int)(long)values[i];
		if ((int)(long)values[i] == 11) first11 = i;
		if ((int)(long)values[i] == 12) first12 = i;
	}
	/* Handlers nest: the last of a queue runs first; 11 and 12 keep their order or its exact reverse with all others. */
	CHECK(sum == 53 && first11 >= 0 && first12 >= 0);
	raise(SIGUSR1);
	CHECK(on_stack == 1);
	pthread_join(thread, NULL);
	return finish();
}
