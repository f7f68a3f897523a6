// A few tokens of a channel of a row a thread. What a thread needs is little, so all of its loads are on the way at
// once, and that they are done is most of the time it takes.
#pragma once

#include <cstdint>

#include "causal_conv1d_filter.cuh"
#include "early_launch.cuh"
#include "slots.cuh"

namespace selective_scan {

constexpr int kConvUpdateThreads = 128;

struct ConvUpdateArgs {
  FilterArgs filter;
  void* state = nullptr;
  const void* x = nullptr;
  void* out = nullptr;
  const int32_t* slots = nullptr;  // device memory; null: row b has slot b
  uint32_t slots_end = 0;          // slots below are there, where slots are said
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t dim = 0;
};

template <typename Element, int kWindow>
__device__ __forceinline__ void update_convolution_row(const ConvUpdateArgs& args, int64_t row, int64_t channel) {
  const int kept = args.filter.width - 1;
  const int unused = kWindow - 1 - kept;
  const int64_t first = row * args.tokens * args.dim + channel;
  const auto* x = static_cast<const Element*>(args.x) + first;
  auto* out = static_cast<Element*>(args.out) + first;
  int64_t slot = row;
  if (args.slots != nullptr) {
    const int32_t said = args.slots[row];
    if (static_cast<uint32_t>(said) >= args.slots_end) {
      for (int64_t t = 0; t < args.tokens; ++t) out[t * args.dim] = narrow<Element>(value_without(said));
      return;
    }
    slot = said;
  }
  // What the newest input of a token comes after, the oldest first.
  auto* state = static_cast<Element*>(args.state) + (slot * args.dim + channel) * kept - unused;
  float window[kWindow];
#pragma unroll
  for (int k = 0; k < kWindow - 1; ++k) window[k] = k >= unused ? static_cast<float>(state[k]) : 0.0f;
  Filter<Element, kWindow> filter;
  filter.load(args.filter, channel);

  for (int64_t t = 0; t < args.tokens; ++t) {
    window[kWindow - 1] = static_cast<float>(x[t * args.dim]);
    out[t * args.dim] = narrow<Element>(filter.apply(window));
#pragma unroll
    for (int k = 0; k < kWindow - 1; ++k) window[k] = window[k + 1];
  }
#pragma unroll
  for (int k = 0; k < kWindow - 1; ++k) {
    if (k >= unused) state[k] = narrow<Element>(window[k]);
  }
}

template <typename Element, int kWindow>
__global__ void __launch_bounds__(kConvUpdateThreads) update_convolution(const __grid_constant__ ConvUpdateArgs args) {
  wait_for_earlier_kernels();
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * kConvUpdateThreads + threadIdx.x;
  if (channel >= args.dim) return;
  for (int64_t row = blockIdx.y; row < args.batch; row += gridDim.y) {
    update_convolution_row<Element, kWindow>(args, row, channel);
  }
}

}  // namespace selective_scan
