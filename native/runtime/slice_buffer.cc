#include "slice_buffer.h"

namespace selective_scan {

SliceBuffer::~SliceBuffer() {
  if (is_marked_) backend_->wait(queue_, mark_);
  if (memory_ != nullptr) backend_->release(queue_, memory_);
}

Status SliceBuffer::allocate(const Backend& backend, void* queue, size_t bytes) {
  backend_ = &backend;
  queue_ = queue;
  void* memory = nullptr;
  const Status status = backend.allocate(queue, bytes, &memory);
  if (status.ok()) memory_ = static_cast<char*>(memory);
  return status;
}

Status SliceBuffer::mark_use(void* queue) {
  const Status status = backend_->mark(queue, &mark_);
  is_marked_ = status.ok();
  return status;
}

Status SliceBuffer::await_free(void* queue) {
  if (!is_marked_) return {};
  is_marked_ = false;
  return backend_->follow(queue, mark_);
}

}  // namespace selective_scan
