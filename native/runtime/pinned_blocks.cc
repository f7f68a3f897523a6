#include "pinned_blocks.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace selective_scan {

namespace {

constexpr size_t kSmallestBlock = size_t{64} << 10;
constexpr size_t kMostKept = size_t{64} << 20;

struct Kept {
  std::mutex mutex;
  std::map<std::pair<const Backend*, size_t>, std::vector<std::shared_ptr<PinnedMemory>>> blocks;
  size_t bytes = 0;
};

// Never destroyed: a call may be on its way when the process ends.
Kept& kept() {
  static auto* const all = new Kept;
  return *all;
}

void give_back(const Backend* backend, std::shared_ptr<PinnedMemory> block) {
  const std::lock_guard<std::mutex> lock(kept().mutex);
  if (kept().bytes + block->bytes() > kMostKept) return;
  kept().bytes += block->bytes();
  kept().blocks[{backend, block->bytes()}].push_back(std::move(block));
}

}  // namespace

Status take_pinned_block(const Backend& backend, int index, size_t bytes, std::shared_ptr<PinnedMemory>* block) {
  size_t rounded = kSmallestBlock;
  while (rounded < bytes) rounded *= 2;
  std::shared_ptr<PinnedMemory> memory;
  {
    const std::lock_guard<std::mutex> lock(kept().mutex);
    auto& free = kept().blocks[{&backend, rounded}];
    if (!free.empty()) {
      memory = std::move(free.back());
      free.pop_back();
      kept().bytes -= rounded;
    }
  }
  if (!memory) {
    const Status status = PinnedMemory::allocate(backend, index, rounded, &memory);
    if (!status.ok()) return status;
  }
  PinnedMemory* const address = memory.get();
  *block = {address, [backend = &backend, memory = std::move(memory)](PinnedMemory*) mutable {
              give_back(backend, std::move(memory));
            }};
  return {};
}

void empty_pinned_blocks(const Backend& backend) {
  std::vector<std::shared_ptr<PinnedMemory>> freed;  // outlives the lock, because freeing waits for the device
  const std::lock_guard<std::mutex> lock(kept().mutex);
  for (auto& [key, blocks] : kept().blocks) {
    if (key.first != &backend) continue;
    kept().bytes -= key.second * blocks.size();
    std::move(blocks.begin(), blocks.end(), std::back_inserter(freed));
    blocks.clear();
  }
}

}  // namespace selective_scan
