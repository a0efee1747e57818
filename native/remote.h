// System calls in threads that belong to others: in a frozen target, which must not notice, and in our own loader.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "trace.h"

namespace pmigrate {

struct RemoteCall {
  uint64_t number;
  std::array<uint64_t, 6> args;
};

// Runs the calls in a thread that is in a PTRACE_EVENT_STOP and gives it back as it was, again in an event stop. `site`:
// 256 executable bytes that nobody executes. Should this process die meanwhile, the code at `site` restores registers
// and signal mask, and the thread goes on. Returns raw results.
std::vector<int64_t> remote_calls(int tid, uint64_t site, const std::vector<RemoteCall>& calls);

// Brings a thread in any ptrace-stop into a PTRACE_EVENT_STOP without running user code.
void settle(int tid, double timeout_ms);

// One call in a loader thread whose syscall instruction stands at `rip`; leaves it in the syscall-exit-stop.
int64_t loader_call(int tid, uint64_t rip, const RemoteCall& call);

struct LoaderRun {
  std::vector<int> born;
};
// Runs a loader thread until its int3, and those that it clones until theirs.
LoaderRun run_loader(int tid, uint64_t rip, uint64_t argument, uint64_t stack, double timeout_ms);

}  // namespace pmigrate
