// Calls that were recorded instead of run, and are run as often as is wanted: a GPU's as one graph, a CPU's one after
// the other.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "storage.h"

namespace selective_scan {

class Graph {
 public:
  // Begins to record, when all that was submitted to the queue is done.
  static Status begin(const std::shared_ptr<Queue>& queue, std::shared_ptr<Graph>* graph);
  // Also ends a recording that goes on.
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  Queue& queue() const { return *queue_; }

  struct Use {
    std::shared_ptr<Storage> array;
    bool writes;
  };

  // The arrays stay alive as long as the graph.
  Status record(Work work, const std::vector<Use>& uses);
  Status end();

  // Enqueues the calls on a GPU, and runs them on a CPU.
  Status replay();

  // The same on a CPU's queue's own thread. Calls done when the calls have run, and keeps the graph until then.
  static void submit(const std::shared_ptr<Graph>& graph, Done done);

 private:
  // The calls, by number, that have to do with an array so far.
  struct History {
    std::vector<size_t> writer;   // the last, if there is one
    std::vector<size_t> readers;  // since then
  };

  std::vector<size_t> needs_of(const std::vector<Use>& uses);

  explicit Graph(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
  Status run_calls(const Call& call) const;
  bool on_gpu() const { return queue_->backend().begin_capture != nullptr; }

  const std::shared_ptr<Queue> queue_;
  bool records_ = false;
  void* recorded_ = nullptr;  // a GPU's graph
  std::vector<Work> calls_;   // a CPU's
  size_t recorded_calls_ = 0;
  std::map<std::shared_ptr<Storage>, History> arrays_;
};

}  // namespace selective_scan
