// The op: the launch of the kernel that fits.
#include "rms_norm.cuh"

#include "queue.cuh"
#include "rms_norm_kernel.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

template <typename Element>
cudaError_t launch_rms_norm(const RmsNormParams& params, const CudaQueue& queue) {
  const auto kernel = fits_registers(params.dim) ? rms_norm_in_registers<Element> : rms_norm_in_passes<Element>;
  return launch_early(kernel, blocks_of_rows(params.rows), threads_of_row(params.dim), queue, params);
}

cudaError_t launch_rms_norm_of(const RmsNormParams& params, const CudaQueue& queue) {
  switch (params.dtype) {
    case DType::kFloat32:
      return launch_rms_norm<float>(params, queue);
    case DType::kFloat16:
      return launch_rms_norm<__half>(params, queue);
    case DType::kBFloat16:
      return launch_rms_norm<__nv_bfloat16>(params, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

Status rms_norm(const Call& call, const RmsNormParams& params) {
  const auto& queue = *static_cast<CudaQueue*>(call.queue);
  const Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  return check(queue.device, launch_rms_norm_of(params, queue), "launching rms_norm");
}

}  // namespace selective_scan
