#include "queue.h"

#include <exception>
#include <new>
#include <utility>

namespace selective_scan {

namespace {

// Work allocates (closures, staging lists); a failure there is a result like any other, not an exception on a thread
// that nobody catches from.
Status guarded(const Work& work, const Call& call) {
  try {
    return work(call);
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "Out of host memory."};
  } catch (const std::exception& error) {
    return {Code::kDevice, error.what()};
  }
}

}  // namespace

Status Queue::open(int device, std::shared_ptr<Queue>* queue) {
  const Backend* backend = nullptr;
  int index = 0;
  Status status = find_device(device, &backend, &index);
  if (!status.ok()) return status;
  void* handle = nullptr;
  status = backend->open(index, &handle);
  if (!status.ok()) return status;
  queue->reset(new Queue(device, *backend, handle));
  return {};
}

Queue::Queue(int device, const Backend& backend, void* handle) : device_(device), backend_(backend), handle_(handle) {}

Queue::~Queue() {
  shut_down();
  backend_.close(handle_);
}

void Queue::submit(Work work, Done done, Cancelled cancelled) {
  // A flag always exists, so that shut_down can stop a job that nobody else can cancel.
  if (!cancelled) cancelled = std::make_shared<std::atomic<bool>>(false);
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { work_through_jobs(); });
  jobs_.push_back({std::move(work), std::move(done), std::move(cancelled)});
  changed_.notify_all();
}

Status Queue::run(const Work& work) {
  if (device_ == kCpuDevice) wait_until_idle();
  return guarded(work, {handle_, nullptr});
}

bool Queue::is_idle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return jobs_.empty() && !busy_;
}

void Queue::wait_until_idle() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return jobs_.empty() && !busy_; });
}

void Queue::finish(Done done) {
  void* mark = nullptr;
  Status status = backend_.mark(handle_, &mark);
  submit([this, mark, status](const Call&) { return status.ok() ? backend_.wait(handle_, mark) : status; },
         std::move(done));
}

void Queue::shut_down() {
  std::deque<Job> dropped;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    dropped.swap(jobs_);
    if (running_) running_->store(true);
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Queue::work_through_jobs() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    if (closing_) return;
    {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      busy_ = true;
      running_ = job.cancelled;
      lock.unlock();
      Status status = job.cancelled->load() ? Status{Code::kAborted, "The operation was aborted."}
                                            : guarded(job.work, {handle_, job.cancelled.get()});
      // Memory that only this job still holds goes before the caller hears of it.
      job.work = nullptr;
      job.done(std::move(status));
    }
    lock.lock();
    running_ = nullptr;
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace selective_scan
