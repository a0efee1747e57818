// The one exception of the native engine: which system call failed, on what, and how. Caught in one place (binding/addon.cc).
#pragma once

#include <cerrno>
#include <string>

namespace pmigrate {

struct Error {
  int number;           // errno
  std::string syscall;  // "ptrace(PTRACE_SEIZE)"
  std::string object;   // "thread 42", for the message
};

[[noreturn]] inline void fail(int number, std::string syscall, std::string object = "") {
  throw Error{number, std::move(syscall), std::move(object)};
}

inline std::string thread_name(int tid) { return "thread " + std::to_string(tid); }

}  // namespace pmigrate
