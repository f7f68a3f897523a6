// What one JavaScript environment (the main thread or a worker) owns: its queues, and the way back from their threads.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "../runtime/graph.h"
#include "../runtime/queue.h"
#include "memory.h"

namespace selective_scan {

class Environment {
 public:
  explicit Environment(Napi::Env env);
  static Environment& of(Napi::Env env);

  // A device's first queue, by the device's number, or a stream that was opened, by the stream's. The first is opened
  // here; throws if there is no such device.
  const std::shared_ptr<Queue>& queue(int64_t number);

  // Another queue of a device. Closing lends it to whoever opens the next: what it still has to do goes on, and memory
  // that is its own stays.
  int64_t open_stream(int device);
  void close_stream(int64_t number);

  // Runs what would block JavaScript on a thread of its own. A GPU's first use in a process takes its driver a good
  // part of a second, and everything after it no time.
  Napi::Promise run_ahead(std::function<Status()> work);

  // A promise, and the function that settles it with undefined or an error, to be called once and from any thread. The
  // process stays alive, and the values in `keep` too, until it has been.
  Napi::Promise promise(const std::vector<Napi::Object>& keep, Done* settle);

  Memories memories;

  // What takes the place of its queue while it is being recorded.
  std::shared_ptr<Graph> recording;

 private:
  struct Pending;
  static void settle_in_javascript(napi_env env, napi_value callback, void* context, void* data);
  static void shut_down(void* data);

  const Napi::Env env_;
  napi_threadsafe_function settle_ = nullptr;
  size_t pending_ = 0;
  std::map<int64_t, std::shared_ptr<Queue>> queues_;  // that have a number
  std::map<int, std::vector<std::shared_ptr<Queue>>> closed_streams_;
  int64_t last_stream_;
  std::vector<std::thread> ahead_;
};

}  // namespace selective_scan
