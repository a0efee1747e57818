// Descriptors of other processes and of terminals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pmigrate {

int pidfd_open_of(int pid);
int pidfd_get(int pidfd, int fd);
int compare(int pid1, int pid2, int type, uint64_t id1, uint64_t id2);  // kcmp(2)
// Messages that wait in a socket, in order, none taken out (SO_PEEK_OFF). A stream gives one.
std::vector<std::vector<uint8_t>> peek_socket(int fd, size_t most);
// A file of /proc, whole: its size is not known before. Far quicker than through Node, and freeze reads dozens while its
// target stands still.
std::vector<uint8_t> read_file(const char* path);
void set_foreground(int fd, int pgid);  // TIOCSPGRP, whoever is in the foreground now

}  // namespace pmigrate
