// Borrowing a stopped thread for system calls.
#include "remote.h"

#include <signal.h>

#include "arch/x86_64/way_home.h"
#include "error.h"
#include "memory.h"

namespace pmigrate {
namespace {

constexpr double kStopMs = 10'000;
constexpr uint64_t kNoCall = ~0ull;
constexpr uint64_t kAllSignals = ~0ull;

Registers prepare(const Registers& base, uint64_t rip, const RemoteCall& call) {
  Registers r = base;
  r.rip = rip;
  r.rax = call.number;
  r.orig_rax = kNoCall;  // else the kernel takes us for an interrupted call and winds rip back
  r.rdi = call.args[0];
  r.rsi = call.args[1];
  r.rdx = call.args[2];
  r.r10 = call.args[3];
  r.r8 = call.args[4];
  r.r9 = call.args[5];
  return r;
}

// To the next syscall-stop. Event stops on the way (a group-stop, our own interrupt) are passed; signals are blocked.
void to_syscall_stop(int tid) {
  resume(tid, "syscall", 0);
  for (;;) {
    Stop stop = must_stop(tid, kStopMs);
    if (stop.kind == StopKind::kSyscall) return;
    resume(tid, "syscall", stop.kind == StopKind::kSignal ? stop.value : 0);
  }
}

int64_t call_once(int tid, const Registers& registers) {
  set_registers(tid, registers);
  to_syscall_stop(tid);
  fault_point("remote.enter");
  to_syscall_stop(tid);
  fault_point("remote.exit");
  return static_cast<int64_t>(get_registers(tid).rax);
}

// Undoes in the order that keeps every moment safe: back in the kernel's signal path first, then registers, then mask.
class Borrowed {
 public:
  Borrowed(int tid, uint64_t site) : tid_(tid), site_(site), registers_(get_registers(tid)), mask_(get_sigmask(tid)) {
    WayHome home(registers_, mask_);
    bytes_ = read_memory(tid, site, home.bytes().size());
    write_memory(tid, site, home.bytes().data(), home.bytes().size());
  }

  std::vector<int64_t> run(const std::vector<RemoteCall>& calls) {
    // The first call's registers point at the way home before the mask is touched.
    std::vector<int64_t> results;
    set_registers(tid_, prepare(registers_, site_, calls.front()));
    set_sigmask(tid_, kAllSignals);
    for (const RemoteCall& call : calls) results.push_back(call_once(tid_, prepare(registers_, site_, call)));
    return results;
  }

  void give_back() {
    settle(tid_, kStopMs);
    set_registers(tid_, registers_);
    set_sigmask(tid_, mask_);
    write_memory(tid_, site_, bytes_.data(), bytes_.size());
  }

 private:
  int tid_;
  uint64_t site_;
  Registers registers_;
  uint64_t mask_;
  std::vector<uint8_t> bytes_;
};

}  // namespace

std::vector<int64_t> remote_calls(int tid, uint64_t site, const std::vector<RemoteCall>& calls) {
  if (calls.empty()) return {};
  Borrowed thread(tid, site);
  std::vector<int64_t> results;
  try {
    results = thread.run(calls);
  } catch (const Error&) {
    try {
      thread.give_back();
    } catch (const Error&) {
      // The thread has ended: there is nobody to give back.
    }
    throw;
  }
  thread.give_back();
  return results;
}

// PTRACE_INTERRUPT, then on: the thread is caught in the kernel's signal path before its next instruction.
void settle(int tid, double timeout_ms) {
  interrupt(tid);
  resume(tid, "cont", 0);
  for (;;) {
    Stop stop = must_stop(tid, timeout_ms);
    if (stop.kind == StopKind::kEvent && stop.value == kEventStop) return;
    resume(tid, "cont", 0);
  }
}

int64_t loader_call(int tid, uint64_t rip, const RemoteCall& call) { return call_once(tid, prepare(get_registers(tid), rip, call)); }

}  // namespace pmigrate
