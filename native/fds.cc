// pidfd_getfd(2), kcmp(2), and what can be read from a socket without taking it.
#include "fds.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <string>

#include "error.h"

namespace pmigrate {
namespace {

int checked(long result, const char* name, int pid = 0) {
  if (result < 0) fail(errno, name, pid ? "process " + std::to_string(pid) : "");
  return static_cast<int>(result);
}

}  // namespace

int pidfd_open_of(int pid) { return checked(syscall(SYS_pidfd_open, pid, 0), "pidfd_open", pid); }

int pidfd_get(int pidfd, int fd) { return checked(syscall(SYS_pidfd_getfd, pidfd, fd, 0), ("pidfd_getfd(fd " + std::to_string(fd) + ")").c_str()); }

int compare(int pid1, int pid2, int type, uint64_t id1, uint64_t id2) { return checked(syscall(SYS_kcmp, pid1, pid2, type, id1, id2), "kcmp", pid1); }

std::vector<std::vector<uint8_t>> peek_socket(int fd, size_t most) {
  std::vector<std::vector<uint8_t>> messages;
  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) fail(errno, "getsockopt(SO_TYPE)");
  int offset = 0, off = -1;
  if (setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) < 0) fail(errno, "setsockopt(SO_PEEK_OFF)");
  for (;;) {
    std::vector<uint8_t> data(most);
    ssize_t got = recv(fd, data.data(), data.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 || (got == 0 && type == SOCK_STREAM)) break;
    data.resize(static_cast<size_t>(got));
    messages.push_back(std::move(data));
    if (got == 0 && type != SOCK_DGRAM) break;
  }
  setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off);
  return messages;
}

std::vector<uint8_t> read_file(const char* path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(errno, "open", path);
  std::vector<uint8_t> data(4096);
  size_t length = 0;
  for (;;) {
    ssize_t got = read(fd, data.data() + length, data.size() - length);
    if (got < 0) {
      int error = errno;
      close(fd);
      fail(error, "read", path);
    }
    if (got == 0) break;
    length += static_cast<size_t>(got);
    if (data.size() - length < 2048) data.resize(2 * data.size());
  }
  close(fd);
  data.resize(length);
  return data;
}

void set_foreground(int fd, int pgid) {
  sigset_t output, old;
  sigemptyset(&output);
  sigaddset(&output, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &output, &old);
  int result = tcsetpgrp(fd, pgid);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  if (result < 0) fail(error, "tcsetpgrp");
}

}  // namespace pmigrate
