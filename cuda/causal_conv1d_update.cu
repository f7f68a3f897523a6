// The op: the slots, and the launch.
#include "causal_conv1d_update.cuh"

#include <algorithm>
#include <cstdint>

#include "causal_conv1d_update_kernel.cuh"
#include "queue.cuh"
#include "scratch.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr int kNarrowWindow = 4;  // the width that Mamba models have
constexpr int kWideWindow = 8;
constexpr int64_t kMostGridRows = 65535;

template <typename Element>
cudaError_t launch_element(const ConvUpdateArgs& args, const CudaQueue& queue) {
  const int64_t blocks = (args.dim + kConvUpdateThreads - 1) / kConvUpdateThreads;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(std::min(args.batch, kMostGridRows)));
  const auto kernel = args.filter.width <= kNarrowWindow ? update_convolution<Element, kNarrowWindow>
                                                         : update_convolution<Element, kWideWindow>;
  return launch_early(kernel, grid, kConvUpdateThreads, queue, args);
}

cudaError_t launch(const ConvUpdateArgs& args, DType dtype, const CudaQueue& queue) {
  switch (dtype) {
    case DType::kFloat32:
      return launch_element<float>(args, queue);
    case DType::kFloat16:
      return launch_element<__half>(args, queue);
    case DType::kBFloat16:
      return launch_element<__nv_bfloat16>(args, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

Status causal_conv1d_update(const Call& call, const CausalConv1dUpdateParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok()) return status;

  ConvUpdateArgs args;
  args.filter.weight = params.weight;
  args.filter.bias = params.bias;
  args.filter.width = static_cast<int>(params.width);
  args.filter.is_float32 = params.weight_dtype == DType::kFloat32;
  args.filter.silu = params.silu;
  args.state = params.state;
  args.x = params.x;
  args.out = params.out;
  args.slots = params.device_slots;
  args.slots_end = static_cast<uint32_t>(std::min(params.slots, int64_t{1} << 31));
  args.batch = params.batch;
  args.tokens = params.tokens;
  args.dim = params.dim;

  Scratch scratch(&queue);
  if (params.host_slots != nullptr) {
    status = scratch.take_copy(params.host_slots, params.batch, "launching a copy of the slots", &args.slots);
    if (!status.ok()) return status;
  }
  return check(queue.device, launch(args, params.dtype, queue), "launching causal_conv1d_update");
}

}  // namespace selective_scan
