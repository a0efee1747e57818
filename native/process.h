// Starting the loader, waiting for its end, and system calls of our own.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace pmigrate {

struct SpawnOptions {
  int loader_fd;
  std::vector<int> set_tid;  // innermost namespace first; empty: any
  uint64_t unshare;          // CLONE_NEW*
  std::array<int, 3> stdio;  // become 0, 1, 2; -1: closed
  bool new_session;
};
struct Spawned {
  int pid;
  int pidfd;
};
// Starts the loader program as a child that dies with the calling thread. Throws the child's own error before exec.
Spawned spawn_loader(const SpawnOptions& options);

struct Ending {
  int status;
  int signal;
};
// Blocks until the child has ended.
Ending wait_exit(int pid);

struct Clocks {
  int64_t monotonic, boottime, realtime;  // ns
};
Clocks read_clocks();

struct XsaveLayout {
  uint64_t xcr0;
  uint32_t size;
  struct Component {
    uint32_t bit, offset, size;
  };
  std::vector<Component> components;
};
XsaveLayout xsave_layout();

}  // namespace pmigrate
