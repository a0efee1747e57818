// A target that knows how long it stood still: it reads the clock without pause and keeps the longest gap between two
// readings in a file that the bench maps too.
//   target FILE BYTES     BYTES of random memory; FILE gets struct Report
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct Report {
  volatile uint64_t longest_gap_ns;  // the bench sets it to 0 before it begins
  volatile uint64_t address;         // of the random memory; written last, so that it also says "ready"
  volatile uint64_t getppid_ps;      // picoseconds per call of getppid, measured over and over
};

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fill_random(uint64_t* words, uint64_t count) {
  uint64_t x = 88172645463325252u;
  for (uint64_t i = 0; i < count; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    words[i] = x;
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  close_range(3, ~0u, 0);  // shells and service managers leak descriptors, which thaw would ask about
  int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, 4096) < 0) return 1;
  struct Report* report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  uint64_t bytes = strtoull(argv[2], NULL, 10);
  static uint64_t none;
  uint64_t* memory = &none;
  if (bytes > 0) {
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    fill_random(memory, bytes / 8);
  }
  report->address = (uint64_t)memory;
  uint64_t last = now_ns();
  for (;;) {
    for (int i = 0; i < 20000000; i++) {
      uint64_t now = now_ns();
      if (now - last > report->longest_gap_ns) report->longest_gap_ns = now - last;
      last = now;
    }
    enum { CALLS = 20000 };
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 5; round++) {
      uint64_t began = now_ns();
      for (int i = 0; i < CALLS; i++) getppid();
      uint64_t took = now_ns() - began;
      if (took < best) best = took;
    }
    report->getppid_ps = best * 1000 / CALLS;
    last = now_ns();
  }
}
