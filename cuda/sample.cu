// The op: the launch of its kernel.
#include "sample.cuh"

#include "queue.cuh"
#include "sample_kernel.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

template <typename Element>
cudaError_t launch_sample(const SampleParams& params, const CudaQueue& queue) {
  return launch_early(sample_rows<Element>, blocks_of_rows(params.batch), kSampleThreads, queue, params);
}

cudaError_t launch_sample_of(const SampleParams& params, const CudaQueue& queue) {
  switch (params.dtype) {
    case DType::kFloat32:
      return launch_sample<float>(params, queue);
    case DType::kFloat16:
      return launch_sample<__half>(params, queue);
    case DType::kBFloat16:
      return launch_sample<__nv_bfloat16>(params, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

Status sample(const Call& call, const SampleParams& params) {
  const auto& queue = *static_cast<CudaQueue*>(call.queue);
  const Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  return check(queue.device, launch_sample_of(params, queue), "launching sample");
}

}  // namespace selective_scan
