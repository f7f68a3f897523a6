// A channel's filter in registers. Every kernel of the convolution sums through it, in one order, so that neither the
// layout nor how a call is cut shows in the bits.
#pragma once

#include <cstdint>

#include "tile_io.cuh"

namespace selective_scan {

struct FilterArgs {
  const void* weight = nullptr;  // [dim, width]
  const void* bias = nullptr;    // [dim], or null
  int width = 0;
  bool is_float32 = false;  // they are; else they are of the inputs' type
  bool silu = false;
};

// kWindow: the widths up to it. The weights stand at its end, and what lies before them is never used.
template <typename Element, int kWindow>
class Filter {
 public:
  __device__ __forceinline__ void load(const FilterArgs& args, int64_t channel) {
    if (args.is_float32) {
      load_from<float, false>(args, channel);
    } else {
      load_from<Element, false>(args, channel);
    }
  }

  // The same where the caller knows the weights' type. kAsVector: those of a filter of width kWindow in one load, which
  // takes more registers.
  template <typename Weight, bool kAsVector>
  __device__ __forceinline__ void load_from(const FilterArgs& args, int64_t channel) {
    unused_ = kWindow - args.width;
    silu_ = args.silu;
    const auto* const weights = static_cast<const Weight*>(args.weight) + channel * args.width;
    if (kAsVector && unused_ == 0) {
      widen_chunk(reinterpret_cast<const Chunk<Weight, kWindow>*>(weights), weights_);
    } else {
#pragma unroll
      for (int k = 0; k < kWindow; ++k) weights_[k] = k >= unused_ ? static_cast<float>(weights[k - unused_]) : 0.0f;
    }
    bias_ = args.bias != nullptr ? static_cast<float>(static_cast<const Weight*>(args.bias)[channel]) : 0.0f;
  }

  // Of the newest kWindow inputs, the oldest first.
  __device__ __forceinline__ float apply(const float* inputs) const {
    float y = bias_;
#pragma unroll
    for (int k = 0; k < kWindow; ++k) {
      if (k >= unused_) y = fmaf(weights_[k], inputs[k], y);
    }
    // In every type by the exact form: the tails of the other's would show in 16 bits too.
    return silu_ ? silu<float>(y) : y;
  }

 private:
  float weights_[kWindow];
  float bias_;
  int unused_;
  bool silu_;
};

}  // namespace selective_scan
