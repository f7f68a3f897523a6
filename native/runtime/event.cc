#include "event.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace selective_scan {

// Opened once, by the thread of one queue, for those of others.
class Event::Gate {
 public:
  void open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = true;
    opened_.notify_all();
  }

  Status wait(const std::atomic<bool>* cancelled) {
    // A queue that is shut down raises the flag and wakes nobody.
    constexpr auto kPatience = std::chrono::milliseconds(10);
    std::unique_lock<std::mutex> lock(mutex_);
    while (!opened_.wait_for(lock, kPatience, [this] { return is_open_; })) {
      if (cancelled != nullptr && cancelled->load()) return {Code::kAborted, "The operation was aborted."};
    }
    return {};
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool is_open_ = false;
};

Status Event::record(const std::shared_ptr<Queue>& queue, std::shared_ptr<Event>* event) {
  std::shared_ptr<Event> recorded(new Event(queue));
  if (queue->device() != kCpuDevice) {
    const Status status = queue->backend().mark(queue->handle(), &recorded->mark_);
    if (!status.ok()) return status;
  } else if (!queue->is_idle()) {
    recorded->gate_ = std::make_shared<Gate>();
    // By what becomes of the job, and not by the job: a queue that is shut down drops it.
    const std::shared_ptr<void> opens(nullptr, [gate = recorded->gate_](void*) { gate->open(); });
    queue->submit([opens](const Call&) -> Status { return {}; }, [](Status) {});
  }
  *event = std::move(recorded);
  return {};
}

Event::~Event() {
  if (mark_ != nullptr) queue_->backend().unmark(queue_->handle(), mark_);
}

Status Event::wait_in(Queue& queue) const {
  if (queue.device() != queue_->device()) return {Code::kDevice, "Expected an event of the stream's device."};
  if (&queue == queue_.get()) return {};
  if (mark_ != nullptr) return queue.backend().order_after(queue.handle(), mark_);
  if (gate_ != nullptr) {
    queue.submit([gate = gate_](const Call& call) { return gate->wait(call.cancelled); }, [](Status) {});
  }
  return {};
}

}  // namespace selective_scan
