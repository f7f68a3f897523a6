// The op: how time is cut into strips, and the launches.
#include "causal_conv1d.cuh"

#include <algorithm>
#include <cstdint>

#include "causal_conv1d_channels.cuh"
#include "causal_conv1d_states.cuh"
#include "causal_conv1d_time.cuh"
#include "queue.cuh"
#include "scratch.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr int kNarrowWindow = 4;  // the width that Mamba models have
constexpr int kWideWindow = kMostConvWidth;
constexpr int kVector = 4;

// Threads that keep a GPU's memory busy. Where there are fewer, strips are shorter, at the cost of reading more inputs
// twice. Strips longer than the longest are slower (H100), although they read less twice.
constexpr int64_t kEnoughThreads = 192 * 1024;
constexpr int64_t kLongestStrip = 32;
constexpr int64_t kShortestStrip = 8;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// No array of any GPU has as many elements as a grid's blocks could have.
unsigned blocks_of(int64_t threads) { return static_cast<unsigned>(divide_up(threads, kConvThreads)); }

template <typename Element, int kWindow>
void launch_time(const ConvArgs& args, cudaStream_t stream) {
  const int64_t runs = divide_up(args.batch * args.dim * args.seqlen, kConvRun<Element>);
  convolve_time<Element, kWindow><<<blocks_of(runs), kConvThreads, 0, stream>>>(args);
}

template <typename Element, int kWindow, int kChannels>
void launch_channels(ConvArgs args, cudaStream_t stream) {
  const int64_t columns = args.batch * (args.dim / kChannels);
  args.strip_steps = kLongestStrip;
  while (args.strip_steps > kShortestStrip && columns * divide_up(args.seqlen, args.strip_steps) < kEnoughThreads) {
    args.strip_steps /= 2;
  }
  args.strips = divide_up(args.seqlen, args.strip_steps);
  const unsigned blocks = blocks_of(columns * args.strips);
  convolve_channels<Element, kWindow, kChannels><<<blocks, kConvThreads, 0, stream>>>(args);
}

template <typename Element>
void launch_element(const ConvArgs& args, Layout layout, cudaStream_t stream) {
  const bool is_narrow = args.filter.width <= kNarrowWindow;
  if (layout == Layout::kBDL) {
    return is_narrow ? launch_time<Element, kNarrowWindow>(args, stream)
                     : launch_time<Element, kWideWindow>(args, stream);
  }
  // Wide filters are rare, and their kernels large.
  if (is_narrow && args.dim % kVector == 0) return launch_channels<Element, kNarrowWindow, kVector>(args, stream);
  launch_channels<Element, kWideWindow, 1>(args, stream);
}

cudaError_t launch(const ConvArgs& args, const CausalConv1dParams& params, cudaStream_t stream) {
  if (args.batch * args.seqlen == 0) return cudaSuccess;
  switch (params.dtype) {
    case DType::kFloat32:
      launch_element<float>(args, params.layout, stream);
      break;
    case DType::kFloat16:
      launch_element<__half>(args, params.layout, stream);
      break;
    case DType::kBFloat16:
      launch_element<__nv_bfloat16>(args, params.layout, stream);
      break;
    default:
      return cudaErrorInvalidValue;
  }
  return cudaGetLastError();
}

// Whether the strips of 'bld' reach the end of every sequence, where they keep its state; no strip comes by one that
// is empty.
bool strips_keep_states(const CausalConv1dParams& params) {
  if (params.layout != Layout::kBLD || params.seqlen == 0) return false;
  if (params.cu_seqlens == nullptr) return true;
  for (int64_t s = 0; s < params.sequences; ++s) {
    if (params.cu_seqlens[s] == params.cu_seqlens[s + 1]) return false;
  }
  return true;
}

cudaError_t launch_states(const ConvArgs& args, const CausalConv1dParams& params, cudaStream_t stream) {
  const bool is_bdl = params.layout == Layout::kBDL;
  const int64_t channel_stride = is_bdl ? params.seqlen : 1;
  const int64_t step_stride = is_bdl ? 1 : params.dim;
  const unsigned blocks = blocks_of(params.sequences * params.dim);
  if (params.dtype == DType::kFloat32) {
    keep_last_inputs<uint32_t><<<blocks, kConvThreads, 0, stream>>>(args, channel_stride, step_stride);
  } else {
    keep_last_inputs<uint16_t><<<blocks, kConvThreads, 0, stream>>>(args, channel_stride, step_stride);
  }
  return cudaGetLastError();
}

}  // namespace

Status causal_conv1d(const Call& call, const CausalConv1dParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok()) return status;

  ConvArgs args;
  args.filter.weight = params.weight;
  args.filter.bias = params.bias;
  args.filter.width = static_cast<int>(params.width);
  args.filter.is_float32 = params.weight_dtype == DType::kFloat32;
  args.filter.silu = params.silu;
  args.x = params.x;
  args.out = params.out;
  args.initial_state = params.initial_state;
  args.batch = params.batch;
  args.dim = params.dim;
  args.seqlen = params.seqlen;
  args.sequences = params.sequences;
  args.kept = static_cast<int>(params.width) - 1;

  Scratch scratch(&queue);
  if (params.cu_seqlens != nullptr) {
    status =
        scratch.take_copy(params.cu_seqlens, params.sequences + 1, "launching a copy of cu_seqlens", &args.cu_seqlens);
    if (!status.ok()) return status;
  }
  const bool has_own_launch = params.final_state != nullptr && !strips_keep_states(params);
  if (!has_own_launch) args.final_state = params.final_state;
  status = check(queue.device, launch(args, params, queue.stream), "launching causal_conv1d");
  if (!status.ok() || !has_own_launch) return status;
  args.final_state = params.final_state;
  return check(queue.device, launch_states(args, params, queue.stream), "launching the states of causal_conv1d");
}

}  // namespace selective_scan
