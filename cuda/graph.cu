#include "graph.cuh"

#include <cuda_runtime.h>

#include <memory>
#include <utility>
#include <vector>

#include "capture.cuh"
#include "queue.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

struct CudaGraph {
  cudaGraphExec_t executable = nullptr;
  std::vector<void*> scratch;  // that the recorded ops have released
};

Status make_executable(const CudaQueue& queue, cudaGraph_t recorded, cudaGraphExec_t* executable) {
  const Status status = check(queue.device, cudaGraphInstantiate(executable, recorded, 0), "making a graph");
  if (!status.ok()) return status;
  // Now, and not at the first replay.
  return check(queue.device, cudaGraphUpload(*executable, queue.own_stream), "uploading a graph");
}

}  // namespace

// From streams of its own: the queue's goes on to serve the memory pool, whose allocations would be nodes of the graph.
Status begin_capture(void* queue) {
  auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  if (status.ok()) status = Capture::begin(q.device, &q.capture);
  if (status.ok()) q.memory->begin_capture();
  return status;
}

Status begin_call(void* queue, const size_t* needs, size_t count) {
  auto& q = *static_cast<CudaQueue*>(queue);
  Status status = enter_device(q.device);
  int branch = CachingPool::kNoBranch;
  if (status.ok()) status = q.capture->begin_call(needs, count, &branch, &q.stream);
  if (status.ok()) q.memory->capture_branch(branch);
  return status;
}

Status end_call(void* queue) {
  auto& q = *static_cast<CudaQueue*>(queue);
  q.stream = q.own_stream;
  q.memory->capture_branch(CachingPool::kNoBranch);
  return q.capture->end_call();
}

Status end_capture(void* queue, void** graph) {
  auto& q = *static_cast<CudaQueue*>(queue);
  const std::shared_ptr<Capture> capture = std::move(q.capture);
  q.stream = q.own_stream;
  auto ended = std::make_unique<CudaGraph>();
  ended->scratch = q.memory->end_capture();
  Status status = enter_device(q.device);
  cudaGraph_t recorded = nullptr;
  if (status.ok()) status = capture->end(&recorded);
  if (status.ok()) status = make_executable(q, recorded, &ended->executable);
  if (recorded != nullptr) cudaGraphDestroy(recorded);
  cudaGetLastError();
  if (status.ok()) {
    *graph = ended.release();
  } else {
    drop_graph(queue, ended.release());
  }
  return status;
}

Status replay(void* queue, void* graph) {
  const auto& q = *static_cast<CudaQueue*>(queue);
  const Status status = enter_device(q.device);
  if (!status.ok()) return status;
  return check(q.device, cudaGraphLaunch(static_cast<CudaGraph*>(graph)->executable, q.own_stream),
               "launching a graph");
}

// A graph that is running is freed by CUDA when it is done, and its memory goes back in the order of the stream.
void drop_graph(void* queue, void* graph) {
  const std::unique_ptr<CudaGraph> dropped(static_cast<CudaGraph*>(graph));
  if (dropped->executable != nullptr) cudaGraphExecDestroy(dropped->executable);
  cudaGetLastError();
  for (void* memory : dropped->scratch) release(queue, memory);
}

}  // namespace selective_scan
