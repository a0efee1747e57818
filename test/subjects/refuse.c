/* State that cannot be carried: argv[2] names it. Waits; must never be frozen. */
#include "subject.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/socket.h>

static int make(const char *what)
{
	if (!strcmp(what, "io_uring")) {
		char params[120] = {0};

		return syscall(425, 4, params);
	}
	if (!strcmp(what, "tcp")) {
		struct sockaddr_in any = {.sin_family = AF_INET};
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		bind(fd, (struct sockaddr *)&any, sizeof any);
		return listen(fd, 1);
	}
	if (!strcmp(what, "inotify"))
		return inotify_init1(0);
	if (!strcmp(what, "userfaultfd"))
		return syscall(SYS_userfaultfd, O_CLOEXEC | 1);
	if (!strcmp(what, "seccomp")) {
		struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		struct sock_fprog program = {1, &allow};

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	}
	if (!strcmp(what, "child")) {
		pid_t child = fork();

		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		return child;
	}
	return -1;
}

int main(int argc, char **argv)
{
	subject(argc, argv);
	NEED(make(argv[2]) >= 0);
	wait_here();
	return finish();
}
