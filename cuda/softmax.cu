// The op: the launch of the kernel that fits.
#include "softmax.cuh"

#include "queue.cuh"
#include "softmax_kernel.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

template <typename Element>
cudaError_t launch_softmax(const SoftmaxParams& params, const CudaQueue& queue) {
  const auto kernel = fits_registers(params.length) ? softmax_in_registers<Element> : softmax_in_passes<Element>;
  return launch_early(kernel, blocks_of_rows(params.rows), threads_of_row(params.length), queue, params);
}

cudaError_t launch_softmax_of(const SoftmaxParams& params, const CudaQueue& queue) {
  switch (params.dtype) {
    case DType::kFloat32:
      return launch_softmax<float>(params, queue);
    case DType::kFloat16:
      return launch_softmax<__half>(params, queue);
    case DType::kBFloat16:
      return launch_softmax<__nv_bfloat16>(params, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

Status softmax(const Call& call, const SoftmaxParams& params) {
  const auto& queue = *static_cast<CudaQueue*>(call.queue);
  const Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  return check(queue.device, launch_softmax_of(params, queue), "launching softmax");
}

}  // namespace selective_scan
