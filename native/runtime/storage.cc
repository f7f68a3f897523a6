#include "storage.h"

#include <algorithm>
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
  if (data_ == nullptr) return;
  const Backend& backend = queue_->backend();
  std::vector<void*> marks;
  for (const std::shared_ptr<Queue>& user : users_) {
    void* mark = nullptr;
    // It fails on a lost device, where no memory is given out again.
    if (backend.mark(user->handle(), &mark).ok()) marks.push_back(mark);
  }
  if (marks.empty()) {
    backend.release(queue_->handle(), data_);
  } else {
    backend.release_after(queue_->handle(), data_, marks.data(), marks.size());
  }
}

void Storage::note_use(const std::shared_ptr<Queue>& queue) {
  // A CPU's work holds what it uses until it has run.
  if (queue == queue_ || queue_->device() == kCpuDevice) return;
  if (std::find(users_.begin(), users_.end(), queue) == users_.end()) users_.push_back(queue);
}

}  // namespace selective_scan
