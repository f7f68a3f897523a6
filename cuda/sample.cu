// The op: the launch of its kernel.
#include "sample.cuh"

#include "queue.cuh"
#include "sample_kernel.cuh"
#include "status.cuh"

namespace selective_scan {

Status sample(const Call& call, const SampleParams& params) {
  const auto& queue = *static_cast<CudaQueue*>(call.queue);
  const Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  return check(queue.device, launch_early(sample_rows, blocks_of_rows(params.batch), kSampleThreads, queue, params),
               "launching sample");
}

}  // namespace selective_scan
