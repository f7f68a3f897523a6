#include "memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <set>
#include <string>

#include "block.h"
#include "cuda_names.h"

namespace emulator {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kGuardBytes = 1024;
constexpr size_t kMostSharedBytes = 227 << 10;

struct Copy {
  unsigned char* to;
  const unsigned char* from;
  size_t bytes;
};

// Of one thread.
struct Copies {
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> closed;
};

struct Range {
  const unsigned char* begin;
  const unsigned char* end;
  bool operator<(const Range& other) const { return begin < other.begin; }
};

std::set<Range> readable;
std::vector<Copies> copies;
alignas(16) unsigned char shared[kMostSharedBytes + kGuardBytes];
size_t shared_bytes = 0;  // of the block

bool is_readable(const unsigned char* from, size_t bytes) {
  auto range = readable.upper_bound({from, from});
  return range != readable.begin() && from + bytes <= (--range)->end;
}

bool is_unwritten(const unsigned char* begin, const unsigned char* end) {
  return std::all_of(begin, end, [](unsigned char byte) { return byte == kUnwritten; });
}

void land(const Copy& copy) { std::memcpy(copy.to, copy.from, copy.bytes); }

}  // namespace

DeviceArray::DeviceArray(size_t bytes, Use use)
    : all_(kAlignment + kGuardBytes + bytes + kGuardBytes, kUnwritten), bytes_(bytes) {
  const size_t beyond = reinterpret_cast<uintptr_t>(all_.data() + kGuardBytes) % kAlignment;
  memory_ = all_.data() + kGuardBytes + (kAlignment - beyond) % kAlignment;
  if (use == Use::kInput) readable.insert({memory_, memory_ + bytes_});
}

DeviceArray::~DeviceArray() { readable.erase({memory_, memory_ + bytes_}); }

void DeviceArray::check(const char* name) const {
  if (!is_unwritten(all_.data(), memory_)) fail(std::string("a write before ") + name);
  if (!is_unwritten(memory_ + bytes_, all_.data() + all_.size())) fail(std::string("a write behind ") + name);
}

void clear_shared_memory(size_t bytes, unsigned threads) {
  if (bytes > kMostSharedBytes) fail("no GPU has as much shared memory");
  shared_bytes = bytes;
  std::memset(shared, kUnwritten, bytes + kGuardBytes);
  copies.assign(threads, Copies{});
}

void check_shared_memory() {
  if (!is_unwritten(shared + shared_bytes, shared + shared_bytes + kGuardBytes))
    fail("a write behind the block's shared memory");
}

unsigned char* shared_memory() { return shared; }

void start_copy(void* to, const void* from, size_t bytes) {
  const Copy copy{static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes};
  if (reinterpret_cast<uintptr_t>(to) % bytes != 0 || reinterpret_cast<uintptr_t>(from) % bytes != 0) {
    fail("a copy that is not aligned");
  }
  if (copy.to < shared || copy.to + bytes > shared + shared_bytes) fail("a copy to outside of shared memory");
  if (!is_readable(copy.from, bytes)) fail("a copy from outside of an array");
  if (random_number() % 2 == 0) {
    land(copy);
  } else {
    std::memset(to, kUnwritten, bytes);
    copies[threadIdx.x].open.push_back(copy);
  }
}

void close_copies() {
  Copies& own = copies[threadIdx.x];
  own.closed.push_back(std::move(own.open));
  own.open.clear();
}

void finish_copies(size_t groups_under_way) {
  Copies& own = copies[threadIdx.x];
  for (; own.closed.size() > groups_under_way; own.closed.pop_front()) {
    for (const Copy& copy : own.closed.front()) land(copy);
  }
}

}  // namespace emulator
