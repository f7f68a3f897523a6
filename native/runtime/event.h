// A point in a queue that other queues of the same device can wait for.
#pragma once

#include <memory>

#include "queue.h"

namespace selective_scan {

class Event {
 public:
  // The point after all that was submitted to the queue or enqueued in it so far.
  static Status record(const std::shared_ptr<Queue>& queue, std::shared_ptr<Event>* event);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // What is given to `queue` from now on runs after the point.
  Status wait_in(Queue& queue) const;

 private:
  class Gate;

  explicit Event(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}

  const std::shared_ptr<Queue> queue_;
  void* mark_ = nullptr;        // of a GPU
  std::shared_ptr<Gate> gate_;  // of a CPU, whose queues are threads
};

}  // namespace selective_scan
