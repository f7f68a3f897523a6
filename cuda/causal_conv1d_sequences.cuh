// What the kernels of the convolution are given, and where sequences and their states are.
#pragma once

#include "../native/ops/causal_conv1d.h"
#include "causal_conv1d_filter.cuh"

namespace selective_scan {

struct ConvArgs {
  FilterArgs filter;
  const void* x = nullptr;
  void* out = nullptr;
  const void* initial_state = nullptr;
  void* final_state = nullptr;
  const int32_t* cu_seqlens = nullptr;  // device memory; null: a sequence a batch entry
  int64_t batch = 0;
  int64_t dim = 0;
  int64_t seqlen = 0;
  int64_t sequences = 0;
  int kept = 0;  // width - 1, what a state holds of a channel

  int64_t strip_steps = 0;  // 'bld': the steps of a thread
  int64_t strips = 0;       // and the strips of a batch entry
};

struct ConvSequence {
  int64_t number;
  int64_t begin;  // its steps, in its batch entry
  int64_t end;
};

// The sequence of a batch entry that a step of it belongs to: of those that begin at or before it, the last, since
// empty ones come before the one that has the step.
__device__ __forceinline__ ConvSequence sequence_at(const ConvArgs& args, int64_t entry, int64_t step) {
  if (args.cu_seqlens == nullptr) return {entry, 0, args.seqlen};
  int64_t first = 0;
  int64_t last = args.sequences - 1;
  while (first < last) {
    const int64_t middle = (first + last + 1) / 2;
    if (args.cu_seqlens[middle] <= step) {
      first = middle;
    } else {
      last = middle - 1;
    }
  }
  return {first, args.cu_seqlens[first], args.cu_seqlens[first + 1]};
}

// The input of a channel `age` steps before the sequence's first.
template <typename Element>
__device__ __forceinline__ float input_before(const ConvArgs& args, int64_t sequence, int64_t channel, int64_t age) {
  if (args.initial_state == nullptr || age > args.kept) return 0.0f;
  const int64_t row = (sequence * args.dim + channel) * args.kept;
  return static_cast<float>(static_cast<const Element*>(args.initial_state)[row + args.kept - age]);
}

}  // namespace selective_scan
