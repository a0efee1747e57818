/*
 * What every subject shares. Three beats: set up; wait() (frozen and thawed here); verify. A subject gets the name of a
 * report file: it appends "ready", waits until REPORT.go exists, appends a line for each failed check and last "ok" or
 * "failed N". The report is open only while it is written.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *report_path;
static int failures;

__attribute__((format(printf, 1, 2), unused)) static void report(const char *format, ...)
{
	char line[1024];
	va_list args;
	int fd = open(report_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	va_start(args, format);
	int length = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	line[length++] = '\n';
	if (write(fd, line, length) != length)
		abort();
	close(fd);
}

#define CHECK(condition, ...)                                            \
	do {                                                             \
		if (!(condition)) {                                      \
			failures++;                                      \
			report("FAIL %s:%d %s", __FILE__, __LINE__, #condition); \
			__VA_OPT__(report(__VA_ARGS__);)                 \
		}                                                        \
	} while (0)

/* Set-up that must work; a feature that this machine lacks is a skip. */
#define NEED(condition)                                                  \
	do {                                                             \
		if (!(condition)) {                                      \
			report("skip: %s: %s", #condition, strerror(errno)); \
			exit(0);                                         \
		}                                                        \
	} while (0)

__attribute__((unused)) static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

__attribute__((unused)) static int is_go(void)
{
	char path[4200];

	snprintf(path, sizeof path, "%s.go", report_path);
	return access(path, F_OK) == 0;
}

__attribute__((unused)) static void wait_for_go(void)
{
	while (!is_go()) {
		struct timespec pause = {0, 5000000};

		nanosleep(&pause, NULL);
	}
}

__attribute__((unused)) static void wait_here(void)
{
	report("ready");
	wait_for_go();
}

__attribute__((unused)) static int finish(void)
{
	if (failures)
		report("failed %d", failures);
	else
		report("ok");
	return failures != 0;
}

__attribute__((unused)) static void subject(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s REPORT\n", argv[0]);
		exit(2);
	}
	report_path = argv[1];
}

/* The file as text, up to `size` bytes. */
__attribute__((unused)) static char *slurp(const char *path, size_t size)
{
	char *text = calloc(1, size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got;

	while ((got = read(fd, text + length, size - 1 - length)) > 0)
		length += got;
	close(fd);
	return text;
}

#endif
