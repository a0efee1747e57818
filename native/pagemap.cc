// Which pages of a process hold something: PAGEMAP_SCAN (6.7), whose ABI is declared here as Debian 12's headers are
// older; else the entries of /proc/PID/pagemap (kernel's Documentation/admin-guide/mm/pagemap.rst).
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "error.h"
#include "memory.h"

namespace pmigrate {
namespace {

struct PmScanArg {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(PmScanArg) == 96, "pm_scan_arg");
static_assert(sizeof(PageRange) == 24, "page_region");

constexpr unsigned long kPagemapScan = _IOWR('f', 16, PmScanArg);
constexpr size_t kRegions = 4096;
constexpr size_t kEntries = 1 << 16;

class Pagemap {
 public:
  explicit Pagemap(int pid) : pid_(pid), fd_(open(("/proc/" + std::to_string(pid) + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail(errno, "open", "/proc/" + std::to_string(pid) + "/pagemap");
  }
  ~Pagemap() { close(fd_); }
  Pagemap(const Pagemap&) = delete;
  Pagemap& operator=(const Pagemap&) = delete;

  // False when this kernel has no PAGEMAP_SCAN.
  bool scan(uint64_t start, uint64_t end, uint64_t any_of, std::vector<PageRange>* out) {
    std::vector<PageRange> regions(kRegions);
    uint64_t returned = kPageFile | kPagePresent | kPageSwapped | kPagePfnZero | kPageGuard;
    for (uint64_t at = start; at < end;) {
      PmScanArg arg{sizeof(PmScanArg), 0, at, end, 0, reinterpret_cast<uint64_t>(regions.data()), regions.size(), 0, 0, 0, any_of, returned};
      int got = ioctl(fd_, kPagemapScan, &arg);
      if (got < 0 && errno == EINVAL && (any_of & kPageGuard)) {  // PAGE_IS_GUARD came with 6.15
        any_of &= ~kPageGuard;
        returned &= ~kPageGuard;
        continue;
      }
      if (got < 0 && (errno == ENOTTY || errno == EINVAL) && out->empty()) return false;
      if (got < 0) fail(errno, "ioctl(PAGEMAP_SCAN)", "process " + std::to_string(pid_));
      out->insert(out->end(), regions.begin(), regions.begin() + got);
      at = arg.walk_end;
    }
    return true;
  }

  // One range of one mapping, entry by entry.
  void read_entries(uint64_t start, uint64_t end, uint64_t any_of, std::vector<PageRange>* out) {
    std::vector<uint64_t> entries(kEntries);
    for (uint64_t at = start; at < end;) {
      size_t count = std::min<uint64_t>(kEntries, (end - at) / kPageBytes);
      ssize_t got = pread(fd_, entries.data(), count * 8, static_cast<off_t>(at / kPageBytes * 8));
      if (got <= 0) return;
      for (ssize_t i = 0; i < got / 8; i++, at += kPageBytes) add(at, categories(entries[i]), any_of, out);
    }
  }

 private:
  int pid_;
  int fd_;

  static uint64_t categories(uint64_t entry) {
    uint64_t found = 0;
    if (entry >> 63 & 1) found |= kPagePresent;
    if (entry >> 62 & 1) found |= kPageSwapped;
    if (entry >> 61 & 1) found |= kPageFile;
    if (entry >> 58 & 1) found |= kPageGuard;
    return found;
  }

  static void add(uint64_t at, uint64_t found, uint64_t any_of, std::vector<PageRange>* out) {
    if (!(found & any_of)) return;
    if (!out->empty() && out->back().end == at && out->back().categories == found) {
      out->back().end += kPageBytes;
    } else {
      out->push_back({at, at + kPageBytes, found});
    }
  }
};

std::vector<Run> mapped_ranges(int pid, uint64_t start, uint64_t end) {
  std::vector<Run> ranges;
  FILE* maps = fopen(("/proc/" + std::to_string(pid) + "/maps").c_str(), "re");
  if (!maps) fail(errno, "open", "/proc/" + std::to_string(pid) + "/maps");
  char line[8192];
  while (fgets(line, sizeof line, maps)) {
    unsigned long from = 0, to = 0;
    if (sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    uint64_t low = std::max<uint64_t>(from, start), high = std::min<uint64_t>(to, end);
    if (low < high) ranges.push_back({low, high - low});
  }
  fclose(maps);
  return ranges;
}

}  // namespace

std::vector<PageRange> scan_pages(int pid, uint64_t start, uint64_t end, uint64_t any_of, ScanMethod method, bool* used_scan) {
  Pagemap pagemap(pid);
  std::vector<PageRange> out;
  *used_scan = method != ScanMethod::kPagemap && pagemap.scan(start, end, any_of, &out);
  if (*used_scan) return out;
  if (method == ScanMethod::kScan) fail(ENOTTY, "ioctl(PAGEMAP_SCAN)", "process " + std::to_string(pid));
  for (const Run& range : mapped_ranges(pid, start, end)) pagemap.read_entries(range.address, range.address + range.bytes, any_of, &out);
  return out;
}

}  // namespace pmigrate
