/* Regular files with offsets and flags, dup'ed and not, directories, O_PATH, devices, deleted files, gaps in the numbers. */
#include "subject.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/wait.h>

static char path[4200], gone[4200];

int main(int argc, char **argv)
{
	char text[64] = "";
	struct stat a, b;

	subject(argc, argv);
	snprintf(path, sizeof path, "%s.file", report_path);
	snprintf(gone, sizeof gone, "%s.lost", report_path);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), append = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
	write(fd, "0123456789", 10);
	lseek(fd, 4, SEEK_SET);
	int twin = dup(fd), far = fcntl(fd, F_DUPFD_CLOEXEC, 200), alone = open(path, O_RDONLY);
	int lost = open(gone, O_RDWR | O_CREAT | O_TRUNC, 0640), zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_RDWR), random = open("/dev/urandom", O_RDONLY), full = open("/dev/full", O_WRONLY);
	int folder = open("/usr", O_RDONLY | O_DIRECTORY), handle = open("/etc/passwd", O_PATH);
	write(lost, "still here", 10);
	lseek(lost, 6, SEEK_SET);
	unlink(gone);
	flock(alone, LOCK_SH);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
	fcntl(fd, F_SETLK, &lock);
	wait_here();
	CHECK(lseek(fd, 0, SEEK_CUR) == 4 && lseek(twin, 1, SEEK_CUR) == 5 && lseek(fd, 0, SEEK_CUR) == 5 && lseek(far, 0, SEEK_CUR) == 5);
	CHECK(lseek(alone, 0, SEEK_CUR) == 0);
	CHECK(fcntl(far, F_GETFD) == FD_CLOEXEC && fcntl(twin, F_GETFD) == 0 && fcntl(append, F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(append, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE)) == (O_APPEND | O_NONBLOCK | O_WRONLY));
	CHECK(write(append, "ab", 2) == 2 && pread(alone, text, 12, 0) == 12 && memcmp(text, "0123456789ab", 12) == 0);
	CHECK(read(lost, text, 10) == 4 && memcmp(text, "here", 4) == 0 && fstat(lost, &a) == 0 && a.st_size == 10 && (a.st_mode & 0777) == 0640);
	CHECK(read(zero, text, 8) == 8 && text[0] == 0 && write(null, "x", 1) == 1 && read(random, text, 8) == 8 && write(full, "x", 1) < 0 && errno == ENOSPC);
	CHECK(fstat(folder, &a) == 0 && S_ISDIR(a.st_mode) && fdopendir(folder) != NULL);
	CHECK(fstat(handle, &a) == 0 && stat("/etc/passwd", &b) == 0 && a.st_ino == b.st_ino && read(handle, text, 1) < 0 && errno == EBADF);
	pid_t child = fork();
	if (child == 0) {
		struct flock probe = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 1}, beside = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
		int own = open(path, O_RDWR);

		fcntl(own, F_GETLK, &probe);
		fcntl(own, F_GETLK, &beside);
		_exit((probe.l_type == F_WRLCK) + 2 * (beside.l_type == F_UNLCK) + 4 * (flock(own, LOCK_EX | LOCK_NB) < 0));
	}
	int status = 0;
	waitpid(child, &status, 0);
	CHECK(WEXITSTATUS(status) == 7, "locks as another process sees them: %d", WEXITSTATUS(status));
	unlink(path);
	return finish();
}
