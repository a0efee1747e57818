// The child shares our memory until it executes (CLONE_VM | CLONE_VFORK), so that starting it costs the same however
// large this process is. Rule: between clone and exec only raw system calls, on a stack of its own.
#include "process.h"

#include <cpuid.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "error.h"

namespace pmigrate {
namespace {

constexpr size_t kStackBytes = 64 * 1024;
constexpr int kSignals = 64;
constexpr int kFirstFree = 10;  // stdio's sources are moved here first, so that none is overwritten
constexpr uint64_t kVfork = CLONE_VM | CLONE_VFORK;

struct Child {
  const SpawnOptions* options;
  char uid_map[48];
  char gid_map[48];
  const char* failed;  // out: the system call that failed
  int error;           // out
};

long raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}

long address(const void* pointer) { return reinterpret_cast<long>(pointer); }

bool ok(Child* child, const char* name, long result) {
  if (result >= 0) return true;
  child->failed = name;
  child->error = static_cast<int>(-result);
  return false;
}

bool write_file(Child* child, const char* path, const char* text) {
  long fd = raw(SYS_openat, AT_FDCWD, address(path), O_WRONLY | O_CLOEXEC);
  if (!ok(child, path, fd)) return false;
  size_t length = 0;
  while (text[length]) length++;
  bool written = ok(child, path, raw(SYS_write, fd, address(text), static_cast<long>(length)));
  raw(SYS_close, fd);
  return written;
}

// In a new user namespace we are who we were, and nobody else.
bool map_user(Child* child) {
  return write_file(child, "/proc/self/setgroups", "deny") && write_file(child, "/proc/self/uid_map", child->uid_map) &&
         write_file(child, "/proc/self/gid_map", child->gid_map);
}

// Unless it is user 0, a program that is executed has none of the capabilities that its creator had in the new user namespace,
// but for the ambient ones.
bool keep_capabilities(Child* child) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (!ok(child, "capget", raw(SYS_capget, address(&header), address(sets)))) return false;
  for (auto& set : sets) set.inheritable = set.permitted;
  if (!ok(child, "capset", raw(SYS_capset, address(&header), address(sets)))) return false;
  for (int cap = 0; cap < 64; cap++) {
    if (!(sets[cap / 32].permitted >> (cap % 32) & 1)) continue;
    if (!ok(child, "prctl(PR_CAP_AMBIENT)", raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap))) return false;
  }
  return true;
}

void reset_signals() {
  uint64_t action[4] = {0, 0, 0, 0};
  for (int signal = 1; signal <= kSignals; signal++) raw(SYS_rt_sigaction, signal, address(action), 0, 8);
  uint64_t none = 0;
  raw(SYS_rt_sigprocmask, SIG_SETMASK, address(&none), 0, 8);
}

bool place_stdio(Child* child, int* loader_fd) {
  int moved[3];
  for (int i = 0; i < 3; i++) {
    int from = child->options->stdio[i];
    moved[i] = from < 0 ? -1 : static_cast<int>(raw(SYS_fcntl, from, F_DUPFD, kFirstFree));
    if (from >= 0 && !ok(child, "fcntl(F_DUPFD)", moved[i])) return false;
  }
  *loader_fd = static_cast<int>(raw(SYS_fcntl, *loader_fd, F_DUPFD_CLOEXEC, kFirstFree));
  if (!ok(child, "fcntl(F_DUPFD)", *loader_fd)) return false;
  for (int i = 0; i < 3; i++) {
    if (moved[i] < 0) {
      raw(SYS_close, i);
    } else if (!ok(child, "dup3", raw(SYS_dup3, moved[i], i, 0))) {
      return false;
    }
  }
  raw(SYS_close_range, 3, *loader_fd - 1, 0);
  raw(SYS_close_range, *loader_fd + 1, ~0u, 0);
  return true;
}

bool become_loader(Child* child) {
  const SpawnOptions& options = *child->options;
  int loader_fd = options.loader_fd;
  if (!ok(child, "prctl(PR_SET_PDEATHSIG)", raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL))) return false;
  if ((options.unshare & CLONE_NEWUSER) && !(map_user(child) && keep_capabilities(child))) return false;
  if (options.new_session) raw(SYS_setsid);
  if (!place_stdio(child, &loader_fd)) return false;
  reset_signals();
  const char* arguments[] = {"pload", nullptr};
  const char* environment[] = {nullptr};
  return ok(child, "execveat", raw(SYS_execveat, loader_fd, address(""), address(arguments), address(environment), AT_EMPTY_PATH));
}

int child_main(void* argument) {
  become_loader(static_cast<Child*>(argument));
  raw(SYS_exit, 127);
  return 127;
}

// clone3 with a stack for the child, which calls child_main(argument) and never returns.
long clone_child(clone_args* args, void* argument) {
  long result;
  register void* kept_argument __asm__("r12") = argument;
  register int (*kept_main)(void*) __asm__("r13") = child_main;
  __asm__ volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "andq $-16, %%rsp\n\t"
      "movq %%r12, %%rdi\n\t"
      "call *%%r13\n\t"
      "hlt\n\t"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(args), "S"(sizeof *args), "r"(kept_argument), "r"(kept_main)
      : "rcx", "r11", "memory");
  return result;
}

}  // namespace

Spawned spawn_loader(const SpawnOptions& options) {
  Child child{&options, {}, {}, nullptr, 0};
  snprintf(child.uid_map, sizeof child.uid_map, "%u %u 1", geteuid(), geteuid());
  snprintf(child.gid_map, sizeof child.gid_map, "%u %u 1", getegid(), getegid());
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) fail(errno, "mmap");
  std::vector<pid_t> set_tid(options.set_tid.begin(), options.set_tid.end());
  int pidfd = -1;
  clone_args args{};
  args.flags = kVfork | CLONE_PIDFD | options.unshare;
  args.exit_signal = SIGCHLD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.stack = reinterpret_cast<uint64_t>(stack);
  args.stack_size = kStackBytes;
  args.set_tid = set_tid.empty() ? 0 : reinterpret_cast<uint64_t>(set_tid.data());
  args.set_tid_size = set_tid.size();
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);  // no handler of ours may run in the child
  long pid = clone_child(&args, &child);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  munmap(stack, kStackBytes);
  if (pid < 0) fail(static_cast<int>(-pid), "clone3");
  if (child.failed) {
    int status;
    waitpid(static_cast<pid_t>(pid), &status, 0);
    close(pidfd);
    fail(child.error, child.failed, "the new process");
  }
  return {static_cast<int>(pid), pidfd};
}

Ending wait_exit(int pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) fail(errno, "waitpid", "process " + std::to_string(pid));
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

Clocks read_clocks() {
  auto read = [](clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
  };
  return {read(CLOCK_MONOTONIC), read(CLOCK_BOOTTIME), read(CLOCK_REALTIME)};
}

XsaveLayout xsave_layout() {
  unsigned eax, ebx, ecx, edx;
  XsaveLayout layout{};
  __cpuid_count(1, 0, eax, ebx, ecx, edx);
  if (!(ecx & bit_OSXSAVE)) return layout;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  layout.xcr0 = (static_cast<uint64_t>(high) << 32) | low;
  __cpuid_count(13, 0, eax, ebx, ecx, edx);
  layout.size = ebx;
  for (uint32_t component = 2; component < 63; component++) {
    if (!(layout.xcr0 >> component & 1)) continue;
    __cpuid_count(13, component, eax, ebx, ecx, edx);
    layout.components.push_back({component, ebx, eax});
  }
  return layout;
}

}  // namespace pmigrate
