#include "pinned_memory.h"

#include <map>
#include <mutex>

namespace selective_scan {

namespace {

std::mutex all_mutex;

// By address. Never destroyed: a thread may still be at work when the process ends.
std::map<const char*, std::weak_ptr<PinnedMemory>>& all() {
  static auto* const map = new std::map<const char*, std::weak_ptr<PinnedMemory>>;
  return *map;
}

}  // namespace

Status PinnedMemory::allocate(const Backend& backend, int index, size_t bytes, std::shared_ptr<PinnedMemory>* memory) {
  void* data = nullptr;
  const Status status = backend.allocate_pinned(index, bytes, &data);
  if (!status.ok()) return status;
  memory->reset(new PinnedMemory(backend, static_cast<char*>(data), bytes));
  const std::lock_guard<std::mutex> lock(all_mutex);
  all()[(*memory)->data_] = *memory;
  return {};
}

PinnedMemory::~PinnedMemory() {
  {
    const std::lock_guard<std::mutex> lock(all_mutex);
    all().erase(data_);
  }
  backend_.release_pinned(data_);
}

std::shared_ptr<PinnedMemory> PinnedMemory::find(const void* data, size_t bytes) {
  const char* const begin = static_cast<const char*>(data);
  std::shared_ptr<PinnedMemory> found;  // outlives the lock: if it is the last to go, it takes the lock again
  const std::lock_guard<std::mutex> lock(all_mutex);
  auto after = all().upper_bound(begin);
  if (after == all().begin()) return nullptr;
  found = (--after)->second.lock();
  const bool has_all = found && begin + bytes <= found->data_ + found->bytes_;
  return has_all ? found : nullptr;
}

}  // namespace selective_scan
