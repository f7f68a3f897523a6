// The recording of a graph: a few streams that are captured together, one a branch of the graph. Calls that do not need
// each other go to different branches, so that a replay runs them side by side; a call that needs another follows it in
// its branch.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <vector>

#include "../native/ops.h"

namespace selective_scan {

class Capture {
 public:
  // On `device`, which is the thread's current one.
  static Status begin(int device, std::shared_ptr<Capture>* capture);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // The branch of the next call, and the stream to record it from. Calls are numbered from 0. After an error there is
  // no graph.
  Status begin_call(const size_t* needs, size_t count, int* branch, cudaStream_t* stream);
  Status end_call();
  Status end(cudaGraph_t* graph);

 private:
  struct Branch {
    cudaStream_t stream;
    size_t last_call;
  };

  explicit Capture(int device) : device_(device) {}
  Status add_branch();
  Status place_call(const size_t* needs, size_t count, int* branch);
  void join_branches();
  void note(const Status& status);
  int choose_branch(const size_t* needs, size_t count) const;
  Status add_event(cudaStream_t stream, std::vector<cudaEvent_t>* events);

  const int device_;
  std::vector<Branch> branches_;           // the first is the one that the capture began in
  std::vector<cudaEvent_t> events_;        // after each call
  std::vector<int> branch_of_;             // each call
  std::vector<cudaEvent_t> other_events_;  // the first is before all calls
  Status failure_;                         // the first
};

}  // namespace selective_scan
