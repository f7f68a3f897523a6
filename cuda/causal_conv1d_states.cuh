// What the next step needs of each sequence and channel: the last inputs, from before the sequence where it is short.
// They are copied, bits and all.
#pragma once

#include "causal_conv1d_sequences.cuh"
#include "causal_conv1d_time.cuh"

namespace selective_scan {

// Of kCount channels of a sequence, side by side, the first of whose first inputs is at x. `row`: which of all channels
// of all sequences that one is.
template <int kCount, typename Bits>
__device__ __forceinline__ void keep_inputs(const ConvArgs& args, int64_t row, const Bits* x, int64_t steps,
                                            int64_t step_stride) {
  const auto* initial = static_cast<const Bits*>(args.initial_state) + row * args.kept;
  auto* final = static_cast<Bits*>(args.final_state) + row * args.kept;
#pragma unroll 1
  for (int k = 0; k < args.kept; ++k) {
    const int64_t step = steps - args.kept + k;
    Bits bits[kCount];
#pragma unroll
    for (int j = 0; j < kCount; ++j) {
      bits[j] = 0;
      if (step >= 0) {
        bits[j] = x[step * step_stride + j];
      } else if (args.initial_state != nullptr) {
        bits[j] = initial[(j + 1) * args.kept + step];
      }
    }
#pragma unroll
    for (int j = 0; j < kCount; ++j) final[j * args.kept + k] = bits[j];
  }
}

template <typename Bits>
__global__ void __launch_bounds__(kConvThreads)
    keep_last_inputs(const __grid_constant__ ConvArgs args, int64_t channel_stride, int64_t step_stride) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kConvThreads + threadIdx.x;
  if (row >= args.sequences * args.dim) return;
  const auto sequence = static_cast<int64_t>(static_cast<uint64_t>(row) / static_cast<uint64_t>(args.dim));
  const int64_t channel = row - sequence * args.dim;
  const bool is_packed = args.cu_seqlens != nullptr;
  const int64_t begin = is_packed ? args.cu_seqlens[sequence] : 0;
  const int64_t steps = is_packed ? args.cu_seqlens[sequence + 1] - begin : args.seqlen;
  const auto* x = static_cast<const Bits*>(args.x) + channel * channel_stride + begin * step_stride;
  if (!is_packed) x += sequence * args.dim * args.seqlen;
  keep_inputs<1>(args, row, x, steps, step_stride);
}

}  // namespace selective_scan
