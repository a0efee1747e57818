/* /proc/self/maps, auxv, cmdline, environ, exe, and the flags in smaps are what they were; the vDSO works. */
#include "subject.h"
#include <sched.h>
#include <sys/auxv.h>

#define ROOM (256 * 1024)
static char maps[2][ROOM], flags[2][ROOM], smaps[4 * ROOM], auxv[2][512], cmdline[2][4096], environment[2][ROOM], exe[2][4096];

static void read_into(char *text, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got;

	while ((got = read(fd, text + length, size - 1 - length)) > 0)
		length += got;
	text[length] = 0;
	close(fd);
}

/* No allocation in here: it would change what is looked at. */
static void look(int which)
{
	char *line, *save, *out = flags[which];

	read_into(smaps, sizeof smaps, "/proc/self/smaps");
	for (line = strtok_r(smaps, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, "VmFlags:", 8) || !strncmp(line, "Locked:", 7))
			out += sprintf(out, "%s\n", line);
	read_into(maps[which], ROOM, "/proc/self/maps");
	read_into(auxv[which], 512, "/proc/self/auxv");
	read_into(cmdline[which], 4096, "/proc/self/cmdline");
	read_into(environment[which], ROOM, "/proc/self/environ");
	readlink("/proc/self/exe", exe[which], sizeof exe[which] - 1);
}

int main(int argc, char **argv)
{
	static const int advice[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WIPEONFORK, MADV_MERGEABLE, MADV_SEQUENTIAL, MADV_RANDOM};

	subject(argc, argv);
	uint8_t *area = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 8; i++)
		madvise(area + (i + 1) * 65536, 4096, advice[i]);
	mlock(area + 1048576, 8192);
	syscall(SYS_mlock2, area + 2097152, 8192, 1);
	unsigned long sysinfo = getauxval(AT_SYSINFO_EHDR);

	look(0);
	look(0);
	wait_here();
	look(1);
	CHECK(strcmp(maps[0], maps[1]) == 0, "before:\n%.480s\nnow:\n%.480s", maps[0], maps[1]);
	CHECK(strcmp(flags[0], flags[1]) == 0, "before:\n%.480s\nnow:\n%.480s", flags[0], flags[1]);
	CHECK(memcmp(auxv[0], auxv[1], sizeof auxv[0]) == 0);
	CHECK(memcmp(cmdline[0], cmdline[1], sizeof cmdline[0]) == 0);
	CHECK(memcmp(environment[0], environment[1], ROOM) == 0);
	CHECK(strcmp(exe[0], exe[1]) == 0, "exe %s, now %s", exe[0], exe[1]);
	CHECK(getauxval(AT_SYSINFO_EHDR) == sysinfo && memcmp((void *)sysinfo, "\177ELF", 4) == 0);
	for (int i = 0; i < 1000; i++) {
		struct timespec t;
		unsigned cpu;

		CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0 && clock_gettime(CLOCK_REALTIME, &t) == 0 && getcpu(&cpu, NULL) == 0);
	}
	return finish();
}
