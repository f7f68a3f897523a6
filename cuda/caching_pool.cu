#include "caching_pool.cuh"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "status.cuh"

namespace selective_scan {
namespace {

// A block this many classes larger than a call needs serves it too: a quarter more.
constexpr int kLargerClasses = kClassesPerDoubling / 4;

// Of a block that is not kept when it is released.
constexpr int kNoClass = 0;

// A part of the device's memory, so that sizes which never come again do not crowd out those that do.
constexpr size_t kMostKeptPart = 8;

// Tools that watch each allocation (compute-sanitizer) see more where none is used twice and none is rounded up.
bool is_switched_off() {
  const char* setting = std::getenv("SELECTIVE_SCAN_MEMORY_CACHE");
  return setting != nullptr && std::strcmp(setting, "0") == 0;
}

// All pools of the process: what one keeps may be what another lacks.
std::mutex pools_mutex;
std::vector<CachingPool*>& pools() {
  static std::vector<CachingPool*> all;
  return all;
}

}  // namespace

struct CachingPool::Totals {
  std::atomic<uint64_t> used{0};
  std::atomic<uint64_t> peak{0};
};

CachingPool::Totals& CachingPool::totals_of(int device) {
  static std::map<int, Totals> all;
  const std::lock_guard<std::mutex> lock(pools_mutex);
  return all[device];
}

Status CachingPool::open(int device, cudaStream_t stream, std::unique_ptr<CachingPool>* pool) {
  std::unique_ptr<CachingPool> opened(new CachingPool(device, stream));
  Status status = opened->driver_.open();
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  if (status.ok()) status = check(device, cudaMemGetInfo(&free_bytes, &total_bytes), "asking for the device's memory");
  if (!status.ok()) return status;
  opened->most_kept_ = is_switched_off() ? 0 : total_bytes / kMostKeptPart;
  const std::lock_guard<std::mutex> lock(pools_mutex);
  pools().push_back(opened.get());
  *pool = std::move(opened);
  return {};
}

void CachingPool::empty_all(int device) {
  const std::lock_guard<std::mutex> lock(pools_mutex);
  for (CachingPool* pool : pools()) {
    if (pool->device_ == device) pool->empty();
  }
}

Status CachingPool::use_of(int device, MemoryUse* use) {
  const Totals& totals = totals_of(device);
  const std::lock_guard<std::mutex> lock(pools_mutex);
  for (CachingPool* pool : pools()) {
    if (pool->device_ != device) continue;
    uint64_t cached = 0;
    const Status status = pool->count_cached(&cached);
    if (!status.ok()) return status;
    use->cached += cached;
  }
  use->used = totals.used.load();
  use->peak = totals.peak.load();
  return {};
}

CachingPool::CachingPool(int device, cudaStream_t stream)
    : device_(device), driver_(device, stream), totals_(totals_of(device)) {}

CachingPool::~CachingPool() {
  {
    const std::lock_guard<std::mutex> lock(pools_mutex);
    pools().erase(std::remove(pools().begin(), pools().end(), this), pools().end());
  }
  empty();
}

Status CachingPool::allocate(size_t bytes, void** memory) {
  const bool keeps = most_kept_ > 0;
  const int size_class = keeps ? size_class_of(bytes) : kNoClass;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!pending_.empty()) settle_pending(false);
    if (keeps && (take_captured(size_class, memory) || take_kept(size_class, memory))) return {};
  }
  Status status = enter_device(device_);
  if (!status.ok()) return status;
  // An empty allocation is a valid one, with an address of its own.
  bytes = std::max<size_t>(bytes, 1);
  const size_t rounded = keeps ? bytes_of_class(size_class) : bytes;
  cudaError_t error = driver_.obtain(rounded, memory);
  if (error == cudaSuccess) return hand_out(*memory, rounded, size_class);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    empty_all(device_);
    // Not rounded up, since this much may still be there.
    error = driver_.obtain(bytes, memory);
    if (error == cudaSuccess) return hand_out(*memory, bytes, kNoClass);
  }
  if (error != cudaErrorMemoryAllocation) return check(device_, error, "allocating memory");
  cudaGetLastError();
  return out_of_memory(bytes);
}

void CachingPool::release(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Block& block = blocks_.find(memory)->second;
  if (captures_) {
    block.branch = branch_;
    captured_.push_back(&block);
  } else {
    keep(&block);
  }
}

void CachingPool::release_after(void* memory, std::vector<cudaEvent_t> events) {
  const std::lock_guard<std::mutex> lock(mutex_);
  pending_.push_back({memory, std::move(events)});
}

void CachingPool::begin_capture() {
  const std::lock_guard<std::mutex> lock(mutex_);
  captures_ = true;
}

void CachingPool::capture_branch(int branch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  branch_ = branch;
}

std::vector<void*> CachingPool::end_capture() {
  const std::lock_guard<std::mutex> lock(mutex_);
  captures_ = false;
  branch_ = kNoBranch;
  std::vector<void*> memory;
  for (const Block* block : captured_) memory.push_back(block->memory);
  captured_.clear();
  return memory;
}

// Those whose events have come are kept like any other.
void CachingPool::settle_pending(bool wait) {
  if (!enter_device(device_).ok()) return;
  const auto has_passed = [wait](const Pending& pending) {
    for (const cudaEvent_t event : pending.events) {
      if (wait) cudaEventSynchronize(event);
      if (cudaEventQuery(event) == cudaErrorNotReady) return false;
    }
    return true;
  };
  const auto first_passed = std::stable_partition(pending_.begin(), pending_.end(),
                                                  [&](const Pending& pending) { return !has_passed(pending); });
  for (auto passed = first_passed; passed != pending_.end(); ++passed) {
    for (const cudaEvent_t event : passed->events) cudaEventDestroy(event);
    keep(&blocks_.find(passed->memory)->second);
  }
  pending_.erase(first_passed, pending_.end());
  cudaGetLastError();
}

void CachingPool::keep(Block* block) {
  count_as_unused(block->bytes);
  if (block->size_class == kNoClass) {
    void* const memory = block->memory;
    blocks_.erase(memory);
    driver_.give_back(memory);
    return;
  }
  block->next = kept_[block->size_class];
  kept_[block->size_class] = block;
  use_.cached += block->bytes;
  give_back_until(most_kept_);
}

void CachingPool::empty() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    settle_pending(true);
    give_back_until(0);
  }
  driver_.trim();
}

MemoryUse CachingPool::use() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return use_;
}

// With what the driver has set aside and nobody has from it.
Status CachingPool::count_cached(uint64_t* bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  settle_pending(false);
  uint64_t reserved = 0;
  const Status status = driver_.count_reserved(&reserved);
  *bytes = reserved > use_.used ? reserved - use_.used : use_.cached;
  return status;
}

bool CachingPool::take_captured(int size_class, void** memory) {
  if (branch_ == kNoBranch) return false;
  const auto fits = [&](const Block* block) {
    return block->branch == branch_ && block->size_class >= size_class &&
           block->size_class <= size_class + kLargerClasses;
  };
  const auto found = std::find_if(captured_.begin(), captured_.end(), fits);
  if (found == captured_.end()) return false;
  *memory = (*found)->memory;
  captured_.erase(found);
  return true;
}

bool CachingPool::take_kept(int size_class, void** memory) {
  for (int larger = 0; larger <= kLargerClasses; ++larger) {
    Block*& first = kept_[size_class + larger];
    if (first == nullptr) continue;
    Block& block = *first;
    first = block.next;
    use_.cached -= block.bytes;
    count_as_used(block.bytes);
    *memory = block.memory;
    return true;
  }
  return false;
}

Status CachingPool::hand_out(void* memory, size_t bytes, int size_class) {
  const std::lock_guard<std::mutex> lock(mutex_);
  try {
    blocks_.emplace(memory, Block{memory, bytes, size_class, nullptr, kNoBranch});
  } catch (const std::bad_alloc&) {
    driver_.give_back(memory);
    return {Code::kOutOfMemory, "Out of host memory."};
  }
  count_as_used(bytes);
  return {};
}

void CachingPool::count_as_used(size_t bytes) {
  use_.used += bytes;
  use_.peak = std::max(use_.peak, use_.used);
  const uint64_t used = totals_.used.fetch_add(bytes) + bytes;
  uint64_t peak = totals_.peak.load();
  while (used > peak && !totals_.peak.compare_exchange_weak(peak, used)) {
  }
}

void CachingPool::count_as_unused(size_t bytes) {
  use_.used -= bytes;
  totals_.used.fetch_sub(bytes);
}

Status CachingPool::out_of_memory(size_t bytes) const {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  const Status status = check(device_, cudaMemGetInfo(&free_bytes, &total_bytes), "asking for free memory");
  if (!status.ok()) return status;
  const MemoryUse now = use();
  return {Code::kOutOfMemory, "Expected to allocate " + std::to_string(bytes) + " bytes on cuda:" +
                                  std::to_string(device_) + " but " + std::to_string(free_bytes) + " of " +
                                  std::to_string(total_bytes) + " are free; this thread's tensors and calls hold " +
                                  std::to_string(now.used) + ", at most " + std::to_string(now.peak) + " so far."};
}

// The largest first: they are the fewest, and the driver's pool cuts them to any size.
void CachingPool::give_back_until(size_t most) {
  for (int size_class = kSizeClasses - 1; use_.cached > most; --size_class) {
    while (kept_[size_class] != nullptr && use_.cached > most) {
      Block& block = *kept_[size_class];
      kept_[size_class] = block.next;
      use_.cached -= block.bytes;
      void* const memory = block.memory;
      blocks_.erase(memory);
      driver_.give_back(memory);
    }
  }
}

}  // namespace selective_scan
