// What the same work costs without pmigrate: bare loops over 1 MiB buffers. Also runs a command and tells its peak memory.
//   bare freeze PID ADDRESS BYTES FILE    process_vm_readv and write; prints nanoseconds
//   bare thaw FILE BYTES                  read and process_vm_writev into a child's fresh memory; prints nanoseconds
//   bare run FILE COMMAND...              FILE gets "WALL_NS PEAK_KIB"; exits as the command does
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void* buffer_of(size_t bytes) {
  void* buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return buffer == MAP_FAILED ? NULL : buffer;
}

static int bare_freeze(pid_t pid, uint64_t address, uint64_t bytes, const char* file) {
  void* buffer = buffer_of(CHUNK);
  uint64_t began = now_ns();
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return 1;
  for (uint64_t at = 0; at < bytes; at += CHUNK) {
    struct iovec local = {buffer, CHUNK}, remote = {(void*)(address + at), CHUNK};
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != CHUNK || write(fd, buffer, CHUNK) != CHUNK) return 1;
  }
  close(fd);
  printf("%llu\n", (unsigned long long)(now_ns() - began));
  return 0;
}

static int bare_thaw(const char* file, uint64_t bytes) {
  void* buffer = buffer_of(CHUNK);
  uint64_t began = now_ns();
  uint8_t* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  pid_t child = fork();
  if (child == 0) for (;;) pause();
  int fd = open(file, O_RDONLY);
  if (fd < 0) return 1;
  for (uint64_t at = 0; at < bytes; at += CHUNK) {
    struct iovec local = {buffer, CHUNK}, remote = {memory + at, CHUNK};
    if (read(fd, buffer, CHUNK) != CHUNK || process_vm_writev(child, &local, 1, &remote, 1, 0) != CHUNK) return 1;
  }
  close(fd);
  printf("%llu\n", (unsigned long long)(now_ns() - began));
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return 0;
}

static int run_measured(const char* file, char** command) {
  uint64_t began = now_ns();
  pid_t child = fork();
  if (child == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  int status;
  struct rusage usage;
  if (wait4(child, &status, 0, &usage) != child) return 1;
  FILE* out = fopen(file, "we");
  if (!out) return 1;
  fprintf(out, "%llu %ld\n", (unsigned long long)(now_ns() - began), usage.ru_maxrss);
  fclose(out);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char** argv) {
  if (argc == 6 && strcmp(argv[1], "freeze") == 0) return bare_freeze(atoi(argv[2]), strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv[5]);
  if (argc == 4 && strcmp(argv[1], "thaw") == 0) return bare_thaw(argv[2], strtoull(argv[3], NULL, 10));
  if (argc >= 4 && strcmp(argv[1], "run") == 0) return run_measured(argv[2], argv + 3);
  fprintf(stderr, "usage: bare freeze|thaw|run ...\n");
  return 2;
}
