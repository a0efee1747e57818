/* Mapped files: private modified and not, shared with the file, shared anonymous, memfd, and files that were deleted. */
#include "subject.h"

#define SIZE (256 * 1024)
static char path[4200], gone[4200];

static uint8_t *map(int fd, int flags) { return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0); }
static int make(const char *name, int value)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	uint8_t *data = malloc(SIZE);

	for (int i = 0; i < SIZE; i++)
		data[i] = value + i / 4096;
	write(fd, data, SIZE);
	free(data);
	return fd;
}

int main(int argc, char **argv)
{
	subject(argc, argv);
	snprintf(path, sizeof path, "%s.mapped", report_path);
	snprintf(gone, sizeof gone, "%s.gone", report_path);
	int fd = make(path, 1), lost = make(gone, 2), mem = memfd_create("subject", MFD_CLOEXEC);

	ftruncate(mem, SIZE);
	uint8_t *private = map(fd, MAP_PRIVATE), *shared = map(fd, MAP_SHARED), *offset = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 16384);
	uint8_t *anonymous = map(-1, MAP_SHARED | MAP_ANONYMOUS), *memory = map(mem, MAP_SHARED), *copy = map(mem, MAP_PRIVATE);
	uint8_t *deleted = map(lost, MAP_SHARED), *deleted_private = map(lost, MAP_PRIVATE);

	private[4096] = 99;
	shared[0] = 77;
	memset(anonymous + 8192, 5, 4096);
	memory[100] = 6;
	copy[8192] = 7;
	deleted[4096] = 8;
	deleted_private[12288] = 9;
	unlink(gone);
	close(lost);
	close(fd);
	wait_here();
	CHECK(private[4096] == 99 && private[4097] == 2 && private[0] == 77 && private[8192] == 3);
	CHECK(shared[0] == 77 && shared[4096] == 2);
	CHECK(offset[0] == 5 && offset[4096] == 6);
	CHECK(anonymous[8192] == 5 && anonymous[12287] == 5 && anonymous[0] == 0);
	CHECK(memory[100] == 6 && copy[8192] == 7 && copy[100] == 6);
	CHECK(deleted[4096] == 8 && deleted[0] == 2 && deleted[8192] == 4);
	CHECK(deleted_private[12288] == 9 && deleted_private[4096] == 8);
	shared[1] = 66;
	msync(shared, SIZE, MS_SYNC);
	int again = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[2] = {0};

	read(again, head, 2);
	CHECK(head[0] == 77 && head[1] == 66);
	memory[200] = 55;
	uint8_t byte = 0;
	pread(mem, &byte, 1, 200);
	CHECK(byte == 55);
	CHECK(copy[200] == 55, "a private mapping of the memfd lost its origin");
	unlink(path);
	return finish();
}
