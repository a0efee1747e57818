// Reading and writing the memory of other processes.
#include "memory.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "error.h"

namespace pmigrate {
namespace {

constexpr size_t kVectors = 512;

class MemFile {
 public:
  MemFile(int pid, int flags) : fd_(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), flags | O_CLOEXEC)) {
    if (fd_ < 0) fail(errno, "open", "/proc/" + std::to_string(pid) + "/mem");
  }
  ~MemFile() { close(fd_); }
  MemFile(const MemFile&) = delete;
  MemFile& operator=(const MemFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string place(int pid, uint64_t address) {
  char text[64];
  snprintf(text, sizeof text, "memory of process %d at %llx", pid, static_cast<unsigned long long>(address));
  return text;
}

// Bytes read at once by process_vm_readv, from the first range on; stops at the first page that it refuses.
size_t read_fast(int pid, const std::vector<Run>& ranges, uint8_t* to) {
  size_t total = 0;
  for (size_t first = 0; first < ranges.size(); first += kVectors) {
    std::vector<iovec> remote;
    size_t want = 0;
    for (size_t i = first; i < std::min(ranges.size(), first + kVectors); i++) {
      remote.push_back({reinterpret_cast<void*>(ranges[i].address), ranges[i].bytes});
      want += ranges[i].bytes;
    }
    iovec local{to + total, want};
    ssize_t got = process_vm_readv(pid, &local, 1, remote.data(), remote.size(), 0);
    if (got < 0 && errno != EFAULT) fail(errno, "process_vm_readv", "process " + std::to_string(pid));
    if (got > 0) total += static_cast<size_t>(got);
    if (got < static_cast<ssize_t>(want)) break;
  }
  return total;
}

bool is_zero(const uint8_t* page) {
  const uint64_t* words = reinterpret_cast<const uint64_t*>(page);
  for (size_t i = 0; i < kPageBytes / 8; i += 8) {
    if (words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] | words[i + 5] | words[i + 6] | words[i + 7]) return false;
  }
  return true;
}

// Appends a page to the runs, at `bytes` of the buffer; moves it down when pages before it were left out.
void keep_page(PagesRead* read, uint64_t address, const uint8_t* page, uint8_t* to) {
  uint8_t* target = to + read->bytes;
  if (target != page) memmove(target, page, kPageBytes);
  read->bytes += kPageBytes;
  if (!read->runs.empty() && read->runs.back().address + read->runs.back().bytes == address) {
    read->runs.back().bytes += kPageBytes;
  } else {
    read->runs.push_back({address, kPageBytes});
  }
}

// Page by page where process_vm_readv refuses: PROT_NONE memory is there all the same.
void read_slowly(int pid, const std::vector<Run>& ranges, size_t skip, uint8_t* to, bool skip_zero, PagesRead* read) {
  MemFile mem(pid, O_RDONLY);
  uint8_t page[kPageBytes] __attribute__((aligned(8)));
  for (const Run& range : ranges) {
    for (uint64_t at = range.address; at < range.address + range.bytes; at += kPageBytes) {
      if (skip >= kPageBytes) {
        skip -= kPageBytes;
        continue;
      }
      if (pread(mem.fd(), page, kPageBytes, static_cast<off_t>(at)) != static_cast<ssize_t>(kPageBytes)) {
        read->lost += kPageBytes;
      } else if (!skip_zero || !is_zero(page)) {
        keep_page(read, at, page, to);
      }
    }
  }
}

}  // namespace

std::vector<uint8_t> read_memory(int pid, uint64_t address, size_t bytes) {
  MemFile mem(pid, O_RDONLY);
  std::vector<uint8_t> data(bytes);
  ssize_t got = pread(mem.fd(), data.data(), bytes, static_cast<off_t>(address));
  if (got != static_cast<ssize_t>(bytes)) fail(got < 0 ? errno : EFAULT, "pread", place(pid, address));
  return data;
}

void write_memory(int pid, uint64_t address, const uint8_t* data, size_t bytes) {
  MemFile mem(pid, O_RDWR);
  for (size_t done = 0; done < bytes;) {
    ssize_t got = pwrite(mem.fd(), data + done, bytes - done, static_cast<off_t>(address + done));
    if (got <= 0) fail(got < 0 ? errno : EFAULT, "pwrite", place(pid, address + done));
    done += static_cast<size_t>(got);
  }
}

PagesRead read_pages(int pid, const std::vector<Run>& ranges, uint8_t* to, bool skip_zero) {
  size_t wanted = 0;
  for (const Run& range : ranges) wanted += range.bytes;
  size_t got = read_fast(pid, ranges, to) & ~(kPageBytes - 1);
  PagesRead read{{}, 0, 0};
  if (got == wanted && !skip_zero) return {ranges, got, 0};
  size_t offset = 0;
  for (const Run& range : ranges) {
    for (uint64_t at = range.address; at < range.address + range.bytes && offset < got; at += kPageBytes, offset += kPageBytes) {
      if (!skip_zero || !is_zero(to + offset)) keep_page(&read, at, to + offset, to);
    }
  }
  if (got < wanted) read_slowly(pid, ranges, got, to, skip_zero, &read);
  return read;
}

void write_pages(int pid, const std::vector<Run>& runs, const uint8_t* from) {
  for (size_t first = 0; first < runs.size(); first += kVectors) {
    std::vector<iovec> remote;
    size_t want = 0;
    for (size_t i = first; i < std::min(runs.size(), first + kVectors); i++) {
      remote.push_back({reinterpret_cast<void*>(runs[i].address), runs[i].bytes});
      want += runs[i].bytes;
    }
    iovec local{const_cast<uint8_t*>(from), want};
    ssize_t got = process_vm_writev(pid, &local, 1, remote.data(), remote.size(), 0);
    if (got < 0 && errno != EFAULT) fail(errno, "process_vm_writev", "process " + std::to_string(pid));
    if (got != static_cast<ssize_t>(want)) {
      // Some page is not writable: the slow way ignores protection.
      size_t done = 0;
      for (size_t i = first; i < std::min(runs.size(), first + kVectors); i++) {
        write_memory(pid, runs[i].address, from + done, runs[i].bytes);
        done += runs[i].bytes;
      }
    }
    from += want;
  }
}

size_t write_pages_if_different(int pid, const std::vector<Run>& runs, const uint8_t* from) {
  size_t written = 0;
  std::vector<uint8_t> now(kPageBytes);
  MemFile mem(pid, O_RDONLY);
  for (const Run& run : runs) {
    for (uint64_t at = run.address; at < run.address + run.bytes; at += kPageBytes, from += kPageBytes) {
      ssize_t got = pread(mem.fd(), now.data(), kPageBytes, static_cast<off_t>(at));
      if (got == static_cast<ssize_t>(kPageBytes) && memcmp(now.data(), from, kPageBytes) == 0) continue;
      write_memory(pid, at, from, kPageBytes);
      written += kPageBytes;
    }
  }
  return written;
}

}  // namespace pmigrate
