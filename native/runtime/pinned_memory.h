// Page-locked memory of the host: what JavaScript computes in, and what the host's link to a device is fed from.
#pragma once

#include <cstddef>
#include <memory>

#include "device.h"

namespace selective_scan {

class PinnedMemory {
 public:
  // For a device of `backend`, by its number there; other devices of the backend profit as well.
  static Status allocate(const Backend& backend, int index, size_t bytes, std::shared_ptr<PinnedMemory>* memory);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  // The pinned memory that has all these bytes; null if there is none.
  static std::shared_ptr<PinnedMemory> find(const void* data, size_t bytes);

  // Whether that backend's devices read and write it by themselves.
  bool serves(const Backend& backend) const { return &backend == &backend_; }

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  PinnedMemory(const Backend& backend, char* data, size_t bytes) : backend_(backend), data_(data), bytes_(bytes) {}

  const Backend& backend_;
  char* const data_;
  const size_t bytes_;
};

}  // namespace selective_scan
