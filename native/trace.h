// Attaching to threads, stopping and running them, and their registers (ptrace(2)). Every function must be called from
// the OS thread that attached. Failures throw Error; a thread that has gone gives ESRCH.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <string>
#include <vector>

namespace pmigrate {

enum class StopKind { kEvent, kSignal, kSyscall, kExited, kKilled };

// A decoded waitpid(2) status. `value`: the event, signal or exit status; `signal`: the signal of an event stop.
struct Stop {
  StopKind kind;
  int value;
  int signal;
};

constexpr int kEventStop = 128;  // PTRACE_EVENT_STOP
constexpr uint64_t kSigsetBytes = 8;

using Registers = user_regs_struct;
static_assert(sizeof(Registers) == 27 * 8, "user_regs_struct");

void seize(int tid, uint64_t options);
void interrupt(int tid);
// Polls (__WALL) until the thread stops or ends; false when `timeout_ms` has passed first.
bool wait_stop(int tid, double timeout_ms, Stop* stop);
// Waits for one kind of stop or throws ETIMEDOUT, or ESRCH when the thread has ended.
Stop must_stop(int tid, double timeout_ms);
void resume(int tid, const std::string& how, int signal);
void detach(int tid, int signal);
uint64_t event_message(int tid);

Registers get_registers(int tid);
void set_registers(int tid, const Registers& registers);
std::vector<uint8_t> get_xsave(int tid);
void set_xsave(int tid, const uint8_t* data, size_t bytes);
uint64_t get_sigmask(int tid);
void set_sigmask(int tid, uint64_t mask);
std::vector<std::vector<uint8_t>> peek_siginfo(int tid, bool shared);
std::vector<uint8_t> get_siginfo(int tid);

struct RseqConfiguration {
  uint64_t address;
  uint32_t size;
  uint32_t signature;
  uint32_t flags;
  uint32_t pad;
};
RseqConfiguration get_rseq(int tid);

// Fault injection: PMIGRATE_FAULT="name=kill" raises SIGKILL on this process at fault_point("name").
void fault_point(const char* name);

}  // namespace pmigrate
