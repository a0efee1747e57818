// Running the loader: from the start of a list to its int3, and so for every thread or process that it makes.
#include <signal.h>
#include <sys/ptrace.h>

#include <cstdio>
#include <cstring>

#include "error.h"
#include "remote.h"

namespace pmigrate {
namespace {

constexpr uint64_t kNoCall = ~0ull;

bool is_birth(const Stop& stop) {
  return stop.kind == StopKind::kEvent && (stop.value == PTRACE_EVENT_CLONE || stop.value == PTRACE_EVENT_FORK || stop.value == PTRACE_EVENT_VFORK);
}

[[noreturn]] void unexpected(int tid, const Stop& stop) {
  char text[160];
  if (stop.kind == StopKind::kSignal) {
    siginfo_t info;
    std::vector<uint8_t> raw = get_siginfo(tid);
    memcpy(&info, raw.data(), sizeof info);
    Registers r = get_registers(tid);
    snprintf(text, sizeof text, "loader thread %d, stopped by signal %d at %llx (address %p)", tid, stop.value, static_cast<unsigned long long>(r.rip), info.si_addr);
  } else {
    snprintf(text, sizeof text, "loader thread %d, in an unexpected stop (%d)", tid, stop.value);
  }
  fail(EFAULT, "run", text);
}

// Lets a loader thread run to its int3; newborns are only let go, to be waited for later.
void run_to_trap(int tid, double timeout_ms, std::vector<int>* born) {
  for (;;) {
    Stop stop = must_stop(tid, timeout_ms);
    if (stop.kind == StopKind::kSignal && stop.value == SIGTRAP) return;
    if (is_birth(stop)) {
      born->push_back(static_cast<int>(event_message(tid)));
    } else if (stop.kind != StopKind::kEvent) {
      unexpected(tid, stop);
    }
    resume(tid, "cont", 0);
  }
}

}  // namespace

LoaderRun run_loader(int tid, uint64_t rip, uint64_t argument, uint64_t stack, double timeout_ms) {
  Registers r = get_registers(tid);
  r.rip = rip;
  r.rdi = argument;
  r.rsp = (stack & ~15ull) - 8;
  r.rax = 0;
  r.orig_rax = kNoCall;
  set_registers(tid, r);
  resume(tid, "cont", 0);
  LoaderRun run;
  run_to_trap(tid, timeout_ms, &run.born);
  for (size_t i = 0; i < run.born.size(); i++) {
    must_stop(run.born[i], timeout_ms);  // PTRACE_EVENT_STOP of the newborn
    resume(run.born[i], "cont", 0);
    run_to_trap(run.born[i], timeout_ms, &run.born);
  }
  return run;
}

}  // namespace pmigrate
