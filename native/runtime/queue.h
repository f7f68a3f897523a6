// One queue a device keeps the order in which JavaScript made its calls.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "device.h"

namespace selective_scan {

using Cancelled = std::shared_ptr<std::atomic<bool>>;
using Work = std::function<Status(const Call&)>;
using Done = std::function<void(Status)>;

class Queue {
 public:
  static Status open(int device, std::shared_ptr<Queue>* queue);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  int device() const { return device_; }
  const Backend& backend() const { return backend_; }
  void* handle() const { return handle_; }

  // Runs work on the queue's own thread after all that was submitted before, then calls done there. Work whose flag is
  // up by then is not begun.
  void submit(Work work, Done done, Cancelled cancelled = nullptr);

  // Runs work on the calling thread. On a CPU it first waits for what was submitted; on a GPU it only enqueues, and the
  // device keeps the order.
  Status run(const Work& work);

  // Whether all that was submitted has been done; to be asked by whoever submits.
  bool is_idle();
  void wait_until_idle();

  // Settles done when everything enqueued on the device and submitted here so far has finished.
  void finish(Done done);

  // Drops what has not begun, asks what has to stop, and waits for it. Nothing runs afterwards.
  void shut_down();

 private:
  struct Job {
    Work work;
    Done done;
    Cancelled cancelled;
  };

  Queue(int device, const Backend& backend, void* handle);
  void work_through_jobs();

  const int device_;
  const Backend& backend_;
  void* const handle_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  Cancelled running_;  // the flag of the job in hand
  bool busy_ = false;
  bool closing_ = false;
  std::thread thread_;  // started by the first submit
};

}  // namespace selective_scan
