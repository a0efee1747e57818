/* Users, groups, capabilities, securebits. Run as root; becomes another user that keeps one capability. */
#include "subject.h"
#include <grp.h>
#include <linux/capability.h>

static char *lines(void)
{
	char *status = slurp("/proc/self/status", 16384), *out = calloc(1, 4096), *line, *save;

	for (line = strtok_r(status, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) || !strncmp(line, "Groups", 6) || !strncmp(line, "Cap", 3) || !strncmp(line, "NoNew", 5))
			strcat(strcat(out, line), "\n");
	return out;
}

int main(int argc, char **argv)
{
	gid_t groups[] = {4242, 4343, 4444};
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{1 << 10, (1 << 10) | (1 << 13), 1 << 10}, {0, 0, 0}};

	subject(argc, argv);
	NEED(geteuid() == 0);
	chmod(report_path, 0666);
	report("as root");
	chmod(report_path, 0666);
	prctl(PR_CAPBSET_DROP, 21, 0, 0, 0);
	NEED(setgroups(3, groups) == 0);
	prctl(PR_SET_KEEPCAPS, 1);
	NEED(setresgid(12346, 12346, 12346) == 0 && setresuid(12345, 12345, 12345) == 0);
	NEED(syscall(SYS_capset, &header, data) == 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 10, 0, 0);
	char *before = lines();
	int bits = prctl(PR_GET_SECUREBITS);
	wait_here();
	char *now = lines();
	CHECK(strcmp(before, now) == 0, "before:\n%s\nnow:\n%s", before, now);
	CHECK(prctl(PR_GET_SECUREBITS) == bits);
	CHECK(open("/etc/shadow", O_RDONLY) < 0);
	return finish();
}
