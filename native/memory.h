// Memory of other processes. Small pieces through /proc/PID/mem, which ignores protection (FOLL_FORCE); pages in bulk by
// process_vm_readv(2) and process_vm_writev(2), with /proc/PID/mem for what those refuse. Safe on any OS thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pmigrate {

constexpr size_t kPageBytes = 4096;

struct Run {
  uint64_t address;
  uint64_t bytes;
};

std::vector<uint8_t> read_memory(int pid, uint64_t address, size_t bytes);
void write_memory(int pid, uint64_t address, const uint8_t* data, size_t bytes);

struct PagesRead {
  std::vector<Run> runs;
  size_t bytes;
  size_t lost;  // bytes that could not be read in any way
};
// Reads whole pages into `to` without gaps; pages of zeros are left out with `skip_zero`.
PagesRead read_pages(int pid, const std::vector<Run>& ranges, uint8_t* to, bool skip_zero);
void write_pages(int pid, const std::vector<Run>& runs, const uint8_t* from);
// Writes only pages that differ; returns the bytes written.
size_t write_pages_if_different(int pid, const std::vector<Run>& runs, const uint8_t* from);

constexpr uint64_t kPageFile = 4, kPagePresent = 8, kPageSwapped = 16, kPagePfnZero = 32, kPageGuard = 256;

struct PageRange {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
enum class ScanMethod { kAuto, kScan, kPagemap };
// Ranges with any of the categories. `used` tells the method.
std::vector<PageRange> scan_pages(int pid, uint64_t start, uint64_t end, uint64_t any_of, ScanMethod method, bool* used_scan);

}  // namespace pmigrate
