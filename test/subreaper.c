/*
 * Runs a command and reaps every orphan that it leaves: some init processes reap late, and a zombie keeps its pid taken.
 * Ends with the command's status; what is still running then is killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Children that outlived the command, as the kernel lists them. */
static void kill_leftovers(void)
{
	char path[64];
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	for (int round = 0; round < 100; round++) {
		FILE *children = fopen(path, "r");
		int found = 0;

		while (children && fscanf(children, "%d", &pid) == 1)
			found += kill(pid, SIGKILL) == 0;
		if (children)
			fclose(children);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (!found)
			return;
		usleep(10000);
	}
}

int main(int argc, char **argv)
{
	int status = 0;
	pid_t child, ended;

	if (argc < 2)
		return 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	close_range(3, ~0u, 0); /* what a caller leaked would be the targets' too */
	child = fork();
	if (child == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	do
		ended = waitpid(-1, &status, 0);
	while (ended != child && (ended > 0 || errno == EINTR));
	kill_leftovers();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
