// A piece of one device's memory, of the queue that it was allocated in. What holds a pointer to it keeps it alive,
// whatever JavaScript does to its number.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "queue.h"

namespace selective_scan {

class Storage : public std::enable_shared_from_this<Storage> {
 public:
  static Status allocate(const std::shared_ptr<Queue>& queue, size_t bytes, std::shared_ptr<Storage>* storage);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Queue& queue() const { return *queue_; }
  const std::shared_ptr<Queue>& shared_queue() const { return queue_; }

  // To be called from one thread, before the queue is given work that uses the memory. It is then not given out again
  // before that work is done, whenever its holders let go of it.
  void note_use(const std::shared_ptr<Queue>& queue);

 private:
  Storage(std::shared_ptr<Queue> queue, void* data, size_t bytes);

  const std::shared_ptr<Queue> queue_;
  void* const data_;
  const size_t bytes_;
  std::vector<std::shared_ptr<Queue>> users_;  // beside its own
};

}  // namespace selective_scan
