// The convolution in 'bdl', where the steps of a channel lie side by side. A thread has a run of adjacent elements of
// x, on a boundary of memory whatever the length of a row, so they may be of several rows or sequences; and it reads
// the eight before them, which the neighbouring thread has just brought into the first-level cache.
#pragma once

#include "causal_conv1d_sequences.cuh"
#include "tile_io.cuh"

namespace selective_scan {

constexpr int kConvThreads = 128;

// The elements of a thread: two vectors of memory, so that enough is on the way.
template <typename Element>
constexpr int kConvRun = 32 / sizeof(Element);
constexpr int kConvLead = 8;  // those before them

// kCount elements from `first` on, and zeros where there are none.
template <int kCount, typename Element>
__device__ __forceinline__ void load_conv_run(const Element* x, int64_t first, int64_t elements, float* values) {
  Chunk<Element, kCount> chunk = {};
  if (first >= 0 && first + kCount <= elements) {
    chunk = *reinterpret_cast<const Chunk<Element, kCount>*>(x + first);
  } else if (first >= 0) {
    fetch_elements(&chunk, x + first, static_cast<int>(elements - first));
  }
  float widened[kCount];
  widen_chunk(&chunk, widened);
#pragma unroll
  for (int j = 0; j < kCount; ++j) values[j] = widened[j];
}

template <typename Element, int kWindow>
__global__ void __launch_bounds__(kConvThreads) convolve_time(const __grid_constant__ ConvArgs args) {
  constexpr int kBefore = kWindow - 1;
  constexpr int kRun = kConvRun<Element>;
  static_assert(kBefore < kConvLead, "the lead holds all that the first output needs");
  const int64_t elements = args.batch * args.dim * args.seqlen;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kConvThreads + threadIdx.x) * kRun;
  if (first >= elements) return;
  const auto* x = static_cast<const Element*>(args.x);
  float inputs[kConvLead + kRun];
  load_conv_run<kConvLead>(x, first - kConvLead, elements, inputs);
  load_conv_run<kRun>(x, first, elements, inputs + kConvLead);

  const int count = clamp_count(elements - first, kRun);
  float y[kRun] = {};
  int done = 0;
  do {  // a sequence of a channel
    const int64_t row = static_cast<int64_t>(static_cast<uint64_t>(first + done) / static_cast<uint64_t>(args.seqlen));
    const int64_t entry = static_cast<int64_t>(static_cast<uint64_t>(row) / static_cast<uint64_t>(args.dim));
    const int64_t channel = row - entry * args.dim;
    const ConvSequence sequence = sequence_at(args, entry, first + done - row * args.seqlen);
    Filter<Element, kWindow> filter;
    filter.load(args.filter, channel);

    // Of the sequence, where it begins and ends from the thread's first element on.
    const int64_t begin = row * args.seqlen + sequence.begin - first;
    const int end = clamp_count(row * args.seqlen + sequence.end - first, count);
    if (begin > -kBefore) {
#pragma unroll
      for (int j = -kBefore; j < kRun; ++j) {
        if (j < begin) inputs[kConvLead + j] = input_before<Element>(args, sequence.number, channel, begin - j);
      }
    }
#pragma unroll
    for (int j = 0; j < kRun; ++j) {
      if (j >= done && j < end) y[j] = filter.apply(inputs + kConvLead + j - kBefore);
    }
    done = end;
  } while (done < count);

  auto* out = static_cast<Element*>(args.out) + first;
  if (count == kRun) {
    store_chunk(out, y);
  } else {
    store_elements(out, y, count);
  }
}

}  // namespace selective_scan
