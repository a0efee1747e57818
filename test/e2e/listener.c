/*
 * Says into a file which signals come, and with SIGWINCH how large its terminal is: listener FILE SIGNAL-NUMBER...
 * Ends when FILE.go appears: "exit N" with that status, "kill N" by that signal.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static int report;

static void say(int signal)
{
	char line[64];
	struct winsize size;
	int length = sprintf(line, "signal %d", signal);

	if (signal == SIGWINCH && ioctl(0, TIOCGWINSZ, &size) == 0)
		length += sprintf(line + length, " %d %d", size.ws_row, size.ws_col);
	line[length] = '\n';
	write(report, line, length + 1);
}

int main(int argc, char **argv)
{
	char path[4096];
	struct timespec pause = {0, 10000000};

	report = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	for (int i = 2; i < argc; i++)
		sigaction(atoi(argv[i]), &(struct sigaction){.sa_handler = say}, NULL);
	snprintf(path, sizeof path, "%s.go", argv[1]);
	write(report, "ready\n", 6);
	for (;;) {
		FILE *go = fopen(path, "r");
		char how[16];
		int number;

		if (go && fscanf(go, "%15s %d", how, &number) == 2) {
			if (!strcmp(how, "exit"))
				return number;
			signal(number, SIG_DFL);
			raise(number);
		}
		if (go)
			fclose(go);
		nanosleep(&pause, NULL);
	}
}
