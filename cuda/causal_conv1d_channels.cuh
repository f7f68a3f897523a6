// The convolution in 'bld', where the channels of a step lie side by side. A thread has kVector adjacent channels and a
// strip of time, down which it keeps the last inputs in registers; only those just before a strip are read twice.
#pragma once

#include "causal_conv1d_sequences.cuh"
#include "causal_conv1d_time.cuh"

namespace selective_scan {

// Steps whose loads are on the way at a time.
template <typename Element>
constexpr int kConvRows = sizeof(Element) == 4 ? 4 : 8;

template <typename Element, int kWindow, int kVector>
class ConvStrip {
  static constexpr int kBefore = kWindow - 1;
  static constexpr int kRows = kConvRows<Element>;

 public:
  __device__ __forceinline__ ConvStrip(const ConvArgs& args, int64_t entry, int64_t channel)
      : args_(args), channel_(channel), entry_(entry) {
    const int64_t offset = entry * args.seqlen * args.dim + channel;
    x_ = static_cast<const Element*>(args.x) + offset;
    out_ = static_cast<Element*>(args.out) + offset;
#pragma unroll
    for (int j = 0; j < kVector; ++j) filters_[j].load(args.filter, channel + j);
  }

  __device__ __forceinline__ void run(int64_t from, int64_t to) {
    while (from < to) {
      const ConvSequence sequence = sequence_at(args_, entry_, from);
      const int64_t stop = sequence.end < to ? sequence.end : to;
      look_back(sequence, from);
      for (; from + kRows <= stop; from += kRows) walk<kRows>(from);
      for (; from < stop; ++from) walk<1>(from);
    }
  }

 private:
  using Row = Chunk<Element, kVector>;

  __device__ __forceinline__ void look_back(const ConvSequence& sequence, int64_t step) {
#pragma unroll
    for (int k = 0; k < kBefore; ++k) {
      const int64_t at = step - kBefore + k;
      if (at >= sequence.begin) {
        load_row(at, inputs_[k]);
      } else {
#pragma unroll
        for (int j = 0; j < kVector; ++j) {
          inputs_[k][j] = input_before<Element>(args_, sequence.number, channel_ + j, sequence.begin - at);
        }
      }
    }
  }

  __device__ __forceinline__ void load_row(int64_t step, float (&values)[kVector]) const {
    const Element* row = x_ + step * args_.dim;
    if constexpr (kVector == 1) {
      values[0] = static_cast<float>(*row);
    } else {
      widen_chunk(reinterpret_cast<const Row*>(row), values);
    }
  }

  template <int kSteps>
  __device__ __forceinline__ void walk(int64_t step) {
#pragma unroll
    for (int i = 0; i < kSteps; ++i) load_row(step + i, inputs_[kBefore + i]);
#pragma unroll
    for (int i = 0; i < kSteps; ++i) store_row(step + i, i);
#pragma unroll
    for (int k = 0; k < kBefore; ++k) {
#pragma unroll
      for (int j = 0; j < kVector; ++j) inputs_[k][j] = inputs_[k + kSteps][j];
    }
  }

  __device__ __forceinline__ void store_row(int64_t step, int i) const {
    float y[kVector];
#pragma unroll
    for (int j = 0; j < kVector; ++j) {
      float window[kWindow];
#pragma unroll
      for (int k = 0; k < kWindow; ++k) window[k] = inputs_[i + k][j];
      y[j] = filters_[j].apply(window);
    }
    Element* row = out_ + step * args_.dim;
    if constexpr (kVector == 1) {
      *row = narrow<Element>(y[0]);
    } else {
      store_chunk(row, y);
    }
  }

  const ConvArgs& args_;
  const int64_t channel_;
  const int64_t entry_;
  const Element* x_;
  Element* out_;
  Filter<Element, kWindow> filters_[kVector];
  float inputs_[kBefore + kRows][kVector];
};

template <typename Element, int kWindow, int kVector>
__global__ void __launch_bounds__(kConvThreads) convolve_channels(const __grid_constant__ ConvArgs args) {
  const uint64_t thread = static_cast<uint64_t>(blockIdx.x) * kConvThreads + threadIdx.x;
  const uint64_t vectors = static_cast<uint64_t>(args.dim) / kVector;
  const uint64_t strip = thread / vectors;
  const uint64_t entry = strip / static_cast<uint64_t>(args.strips);
  if (entry >= static_cast<uint64_t>(args.batch)) return;
  const auto channel = static_cast<int64_t>((thread - strip * vectors) * kVector);
  const auto from = static_cast<int64_t>(strip - entry * args.strips) * args.strip_steps;
  const int64_t to = from + args.strip_steps < args.seqlen ? from + args.strip_steps : args.seqlen;
  ConvStrip<Element, kWindow, kVector>(args, static_cast<int64_t>(entry), channel).run(from, to);
}

}  // namespace selective_scan
