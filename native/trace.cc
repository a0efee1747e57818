// Thin, checked wrappers of ptrace(2) and wait4(2).
#include "trace.h"

#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include <cstdlib>
#include <cstring>

#include "error.h"

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f  // 5.13
#endif

namespace pmigrate {
namespace {

constexpr size_t kXsaveMost = 64 * 1024;
constexpr size_t kSiginfoBytes = 128;
constexpr int kSiginfoBatch = 32;
constexpr double kSpinMs = 0.3;  // most stops come within microseconds; only then is sleeping cheaper

long trace(int request, int tid, uint64_t address, uint64_t data, const char* name) {
  errno = 0;
  long result = ptrace(static_cast<__ptrace_request>(request), tid, address, data);
  if (result == -1 && errno != 0) fail(errno, std::string("ptrace(") + name + ")", thread_name(tid));
  return result;
}

double now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

Stop decode(int status) {
  if (WIFEXITED(status)) return {StopKind::kExited, WEXITSTATUS(status), 0};
  if (WIFSIGNALED(status)) return {StopKind::kKilled, WTERMSIG(status), 0};
  int signal = WSTOPSIG(status);
  int event = status >> 16;
  if (event != 0) return {StopKind::kEvent, event, signal};
  if (signal == (SIGTRAP | 0x80)) return {StopKind::kSyscall, 0, 0};
  return {StopKind::kSignal, signal, 0};
}

}  // namespace

void seize(int tid, uint64_t options) { trace(PTRACE_SEIZE, tid, 0, options, "PTRACE_SEIZE"); }

void interrupt(int tid) { trace(PTRACE_INTERRUPT, tid, 0, 0, "PTRACE_INTERRUPT"); }

bool wait_stop(int tid, double timeout_ms, Stop* stop) {
  double began = now_ms();
  for (;;) {
    int status = 0;
    pid_t got = wait4(tid, &status, __WALL | WNOHANG, nullptr);
    if (got == tid) {
      *stop = decode(status);
      return true;
    }
    if (got < 0 && errno != EINTR) fail(errno == ECHILD ? ESRCH : errno, "wait4", thread_name(tid));
    double passed = now_ms() - began;
    if (passed >= timeout_ms) return false;
    if (passed < kSpinMs) {
      sched_yield();
    } else {
      timespec pause{0, 50'000};
      nanosleep(&pause, nullptr);
    }
  }
}

Stop must_stop(int tid, double timeout_ms) {
  Stop stop{};
  if (!wait_stop(tid, timeout_ms, &stop)) fail(ETIMEDOUT, "wait4", thread_name(tid));
  if (stop.kind == StopKind::kExited || stop.kind == StopKind::kKilled) fail(ESRCH, "wait4", thread_name(tid) + ", which has ended");
  return stop;
}

void resume(int tid, const std::string& how, int signal) {
  int request = how == "syscall" ? PTRACE_SYSCALL : how == "step" ? PTRACE_SINGLESTEP : how == "listen" ? PTRACE_LISTEN : PTRACE_CONT;
  trace(request, tid, 0, static_cast<uint64_t>(signal), how.c_str());
}

void detach(int tid, int signal) { trace(PTRACE_DETACH, tid, 0, static_cast<uint64_t>(signal), "PTRACE_DETACH"); }

uint64_t event_message(int tid) {
  unsigned long message = 0;
  trace(PTRACE_GETEVENTMSG, tid, 0, reinterpret_cast<uint64_t>(&message), "PTRACE_GETEVENTMSG");
  return message;
}

Registers get_registers(int tid) {
  Registers registers{};
  trace(PTRACE_GETREGS, tid, 0, reinterpret_cast<uint64_t>(&registers), "PTRACE_GETREGS");
  return registers;
}

void set_registers(int tid, const Registers& registers) {
  trace(PTRACE_SETREGS, tid, 0, reinterpret_cast<uint64_t>(&registers), "PTRACE_SETREGS");
}

std::vector<uint8_t> get_xsave(int tid) {
  std::vector<uint8_t> area(kXsaveMost);
  iovec vector{area.data(), area.size()};
  trace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, reinterpret_cast<uint64_t>(&vector), "PTRACE_GETREGSET");
  area.resize(vector.iov_len);
  return area;
}

void set_xsave(int tid, const uint8_t* data, size_t bytes) {
  iovec vector{const_cast<uint8_t*>(data), bytes};
  trace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, reinterpret_cast<uint64_t>(&vector), "PTRACE_SETREGSET");
}

uint64_t get_sigmask(int tid) {
  uint64_t mask = 0;
  trace(PTRACE_GETSIGMASK, tid, kSigsetBytes, reinterpret_cast<uint64_t>(&mask), "PTRACE_GETSIGMASK");
  return mask;
}

void set_sigmask(int tid, uint64_t mask) {
  trace(PTRACE_SETSIGMASK, tid, kSigsetBytes, reinterpret_cast<uint64_t>(&mask), "PTRACE_SETSIGMASK");
}

std::vector<std::vector<uint8_t>> peek_siginfo(int tid, bool shared) {
  std::vector<std::vector<uint8_t>> all;
  std::vector<uint8_t> batch(kSiginfoBatch * kSiginfoBytes);
  for (;;) {
    __ptrace_peeksiginfo_args args{};
    args.off = all.size();
    args.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0;
    args.nr = kSiginfoBatch;
    long got = trace(PTRACE_PEEKSIGINFO, tid, reinterpret_cast<uint64_t>(&args), reinterpret_cast<uint64_t>(batch.data()), "PTRACE_PEEKSIGINFO");
    for (long i = 0; i < got; i++) all.emplace_back(batch.begin() + i * kSiginfoBytes, batch.begin() + (i + 1) * kSiginfoBytes);
    if (got < kSiginfoBatch) return all;
  }
}

std::vector<uint8_t> get_siginfo(int tid) {
  std::vector<uint8_t> info(kSiginfoBytes);
  trace(PTRACE_GETSIGINFO, tid, 0, reinterpret_cast<uint64_t>(info.data()), "PTRACE_GETSIGINFO");
  return info;
}

RseqConfiguration get_rseq(int tid) {
  RseqConfiguration configuration{};
  trace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof configuration, reinterpret_cast<uint64_t>(&configuration), "PTRACE_GET_RSEQ_CONFIGURATION");
  return configuration;
}

void fault_point(const char* name) {
  static const char* fault = getenv("PMIGRATE_FAULT");
  if (!fault) return;
  size_t length = strlen(name);
  if (strncmp(fault, name, length) == 0 && strcmp(fault + length, "=kill") == 0) raise(SIGKILL);
}

}  // namespace pmigrate
