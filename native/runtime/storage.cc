#include "storage.h"

#include <utility>

namespace selective_scan {

Status Storage::allocate(const std::shared_ptr<Queue>& queue, size_t bytes, std::shared_ptr<Storage>* storage) {
  void* data = nullptr;
  if (bytes > 0) {
    Status status = queue->backend().allocate(queue->handle(), bytes, &data);
    if (!status.ok()) return status;
  }
  storage->reset(new Storage(queue, data, bytes));
  return {};
}

Storage::Storage(std::shared_ptr<Queue> queue, void* data, size_t bytes)
    : queue_(std::move(queue)), data_(data), bytes_(bytes) {}

Storage::~Storage() {
  if (data_ != nullptr) queue_->backend().release(queue_->handle(), data_);
}

}  // namespace selective_scan
