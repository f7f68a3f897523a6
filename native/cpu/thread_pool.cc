#include "thread_pool.h"

#include <algorithm>
#include <system_error>

namespace selective_scan {

int threads_worth_waking(double state_steps, int threads) {
  constexpr double kLeastPerThread = 100000;
  return static_cast<int>(std::max(1.0, std::min<double>(threads, state_steps / kLeastPerThread)));
}

struct ThreadPool::Job {
  void work(int slot) {
    for (int64_t index; (index = next.fetch_add(1, std::memory_order_relaxed)) < count;) (*body)(slot, index);
  }

  const std::function<void(int, int64_t)>* body;
  int64_t count;
  std::atomic<int64_t> next{0};
  // Under the pool's mutex:
  int slots_left;  // helpers still wanted; the next takes the slot of this number
  int helpers = 0;
};

struct ThreadPool::Joiner {
  ~Joiner() { shared().stop(); }
};

ThreadPool& ThreadPool::shared() {
  // The pool itself is never destroyed, as a caller on another thread may be inside run() while the process exits. Its
  // threads are ended, because they may not outlive the code they run.
  static ThreadPool* const pool = new ThreadPool;
  return *pool;
}

void ThreadPool::run(int64_t count, int threads, const std::function<void(int, int64_t)>& body) {
  const int helpers = static_cast<int>(std::min<int64_t>(threads, count)) - 1;
  Job job;
  job.body = &body;
  job.count = count;
  job.slots_left = helpers;
  if (helpers <= 0) return job.work(0);

  std::list<Job*>::iterator place;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    start_workers(helpers);
    place = jobs_.insert(jobs_.end(), &job);
  }
  job_added_.notify_all();
  job.work(0);

  std::unique_lock<std::mutex> lock(mutex_);
  if (job.slots_left > 0) jobs_.erase(place);
  helper_left_.wait(lock, [&] { return job.helpers == 0; });
}

void ThreadPool::start_workers(int wanted) {
  if (stopping()) return;
  static Joiner joiner;  // made with the first worker, so that it goes before anything older the workers use
  try {
    while (static_cast<int>(workers_.size()) < wanted) workers_.emplace_back(&ThreadPool::work, this);
  } catch (const std::system_error&) {
    // The system grants no more threads: those there are do the work.
  }
}

void ThreadPool::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    job_added_.wait(lock, [&] { return stopping() || !jobs_.empty(); });
    if (stopping()) return;
    Job* const job = jobs_.front();
    const int slot = job->slots_left--;
    if (job->slots_left == 0) jobs_.pop_front();
    ++job->helpers;
    lock.unlock();
    job->work(slot);
    lock.lock();
    if (--job->helpers == 0) helper_left_.notify_all();
  }
}

void ThreadPool::stop() {
  std::vector<std::thread> workers;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    workers.swap(workers_);
  }
  job_added_.notify_all();
  for (std::thread& worker : workers) worker.join();
}

}  // namespace selective_scan
