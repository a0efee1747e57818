// Machine code that finds its way back alone: one system call, then the thread's own signal mask and registers.
#pragma once

#include <sys/user.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace pmigrate {

// ERESTART* results (linux/errno.h): never seen by user space, but by a tracer.
constexpr int64_t kRestartSys = -512;
constexpr int64_t kRestartNoIntr = -513;
constexpr int64_t kRestartNoHand = -514;
constexpr int64_t kRestartBlock = -516;
constexpr uint64_t kRestartSyscall = 219;

class WayHome {
 public:
  // Code for a thread that was stopped with `registers` and `mask`. A call that the stop interrupted is made anew.
  WayHome(const user_regs_struct& registers, uint64_t mask) {
    user_regs_struct home = registers;
    restart(&home);
    put({0x0f, 0x05});  // syscall: the borrowed one
    uint64_t masks = kCodeBytes;
    put({0xb8, 14, 0, 0, 0});           // mov $rt_sigprocmask, %eax
    put({0xbf, 2, 0, 0, 0});            // mov $SIG_SETMASK, %edi
    put({0x48, 0x8d, 0x35});            // lea mask(%rip), %rsi
    put32(static_cast<uint32_t>(masks - (code_.size() + 4)));
    put({0xba, 0, 0, 0, 0});            // mov $0, %edx: unlike xor it leaves the flags alone, as syscall and mov do
    put({0x41, 0xba, 8, 0, 0, 0});      // mov $8, %r10d
    put({0x0f, 0x05});                  // syscall
    load(0xb8, 0x48, home.rax);
    load(0xb9, 0x48, home.rcx);
    load(0xba, 0x48, home.rdx);
    load(0xbe, 0x48, home.rsi);
    load(0xbf, 0x48, home.rdi);
    load(0xb8, 0x49, home.r8);
    load(0xb9, 0x49, home.r9);
    load(0xba, 0x49, home.r10);
    load(0xbb, 0x49, home.r11);
    put({0xff, 0x25});  // jmp *target(%rip)
    put32(static_cast<uint32_t>(kCodeBytes + 8 - (code_.size() + 4)));
    code_.resize(kCodeBytes);
    put64(mask);
    put64(home.rip);
  }

  const std::vector<uint8_t>& bytes() const { return code_; }

 private:
  static constexpr size_t kCodeBytes = 176;
  std::vector<uint8_t> code_;

  // What the kernel would do on the way back to user space when no signal is to be delivered.
  static void restart(user_regs_struct* r) {
    if (static_cast<int64_t>(r->orig_rax) < 0) return;
    int64_t result = static_cast<int64_t>(r->rax);
    if (result == kRestartSys || result == kRestartNoIntr || result == kRestartNoHand) {
      r->rax = r->orig_rax;
      r->rip -= 2;
    } else if (result == kRestartBlock) {
      r->rax = kRestartSyscall;
      r->rip -= 2;
    }
  }

  void put(std::initializer_list<uint8_t> bytes) { code_.insert(code_.end(), bytes); }
  void put32(uint32_t value) { append(&value, sizeof value); }
  void put64(uint64_t value) { append(&value, sizeof value); }
  void append(const void* data, size_t bytes) {
    const uint8_t* from = static_cast<const uint8_t*>(data);
    code_.insert(code_.end(), from, from + bytes);
  }
  // mov $value, %register (a 64-bit immediate)
  void load(uint8_t opcode, uint8_t rex, uint64_t value) {
    put({rex, opcode});
    put64(value);
  }
};

}  // namespace pmigrate
