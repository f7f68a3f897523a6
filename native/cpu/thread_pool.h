// The process's worker threads. They start when first needed, are shared by all callers and end with the process (or
// when the library is unloaded).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace selective_scan {

// Of `threads`, those that save more than it costs to wake them for so many steps of one state of one channel.
int threads_worth_waking(double state_steps, int threads);

class ThreadPool {
 public:
  static ThreadPool& shared();

  // Calls body(slot, index) for every index below `count` on at most `threads` threads, the caller's included, and
  // returns when all calls have. A slot, below `threads`, is of one thread at a time. The caller works too, so that
  // progress never depends on a free worker: callers cannot block each other. `body` must not throw.
  void run(int64_t count, int threads, const std::function<void(int slot, int64_t index)>& body);

  // True once the process is ending; long bodies should then return early.
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

 private:
  struct Job;
  struct Joiner;

  ThreadPool() = default;
  void start_workers(int wanted);
  void work();
  void stop();

  std::mutex mutex_;
  std::condition_variable job_added_;
  std::condition_variable helper_left_;
  std::list<Job*> jobs_;  // those that want another helper
  std::vector<std::thread> workers_;
  std::atomic<bool> stopping_{false};
};

}  // namespace selective_scan
