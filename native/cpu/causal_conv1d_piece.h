// What the op asks of a kernel: some steps of some channels of one sequence, in plain data, so that kernels built for
// different vector sets share nothing with each other but this.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

// Of a piece in 'bld', the most channels: enough for long runs of memory, few enough that their rows of weights and
// inputs stay in a core's own caches.
constexpr int64_t kMostConvChannels = 1024;

struct ConvPiece {
  const CausalConv1dParams* params = nullptr;
  const float* weights = nullptr;  // what widen_weights() has made
  const void* initial = nullptr;   // [dim, width - 1] of the sequence, or null
  void* final = nullptr;           // the same; may be the same memory where the piece is the whole sequence
  int64_t first = 0;               // where the sequence's first step begins in x, of channel 0
  int64_t steps = 0;               // of the sequence
  int64_t from = 0;                // the steps of the piece. One that is cut has at least kMostConvWidth
  int64_t to = 0;
  int64_t channel = 0;
  int64_t channels = 0;
};

struct ConvKernel {
  // Weight and bias in float32, as run() wants them: (width + 1) * dim floats.
  void (*widen_weights)(const CausalConv1dParams& params, float* into);
  void (*run)(const ConvPiece& piece);
};

// One for each vector set; those not of the target's architecture are not built.
const ConvKernel& causal_conv1d_avx512();
const ConvKernel& causal_conv1d_avx2();
const ConvKernel& causal_conv1d_neon();
const ConvKernel& causal_conv1d_portable();

}  // namespace selective_scan
