// The convolution in 'bld', where the channels of a step lie side by side. A thread has kVector adjacent channels and a
// strip of time, down which it keeps the last inputs in registers; only those just before a strip are read twice. While
// it works on some rows, the next ones are on the way.
#pragma once

#include "causal_conv1d_sequences.cuh"
#include "causal_conv1d_states.cuh"
#include "causal_conv1d_time.cuh"

namespace selective_scan {

// Rows that are on the way at a time: fewer where each is a vector of 16 bytes.
template <typename Element, int kVector>
constexpr int kConvRows = sizeof(Element) * kVector == 16 ? 4 : 8;

constexpr int kConvBlocks = 5;  // on a multiprocessor at a time, as far as registers decide

template <typename Element, int kWindow, int kVector>
class ConvStrip {
  static constexpr int kBefore = kWindow - 1;
  static constexpr int kRows = kConvRows<Element, kVector>;

 public:
  __device__ __forceinline__ ConvStrip(const ConvArgs& args, int64_t entry, int64_t channel)
      : args_(args), entry_(entry), channel_(channel) {
    // One branch for all, so that no load waits for another.
    if (args.filter.is_float32) {
#pragma unroll
      for (int j = 0; j < kVector; ++j) filters_[j].template load_from<float, true>(args.filter, channel + j);
    } else {
#pragma unroll
      for (int j = 0; j < kVector; ++j) filters_[j].template load_from<Element, true>(args.filter, channel + j);
    }
  }

  __device__ __forceinline__ void run(int64_t from, int64_t to) {
    while (from < to) {
      const ConvSequence sequence = sequence_at(args_, entry_, from);
      const int64_t stop = sequence.end < to ? sequence.end : to;
      const int64_t offset = (entry_ * args_.seqlen + from) * args_.dim + channel_;
      x_ = static_cast<const Element*>(args_.x) + offset;
      out_ = static_cast<Element*>(args_.out) + offset;
      const bool ends_sequence = stop == sequence.end && args_.final_state != nullptr;
      auto rows = static_cast<int>(stop - from);
      fetch(rows);
      look_back(sequence, from);
#pragma unroll 1
      for (; rows > 0; rows -= kRows) walk(rows);
      from = stop;
      if (ends_sequence) keep_state(stop);
    }
  }

 private:
  // As it is in memory.
  using Row = std::conditional_t<kVector == 1, Element, Chunk<Element, kVector>>;

  static __device__ __forceinline__ void widen(const Row& row, float (&values)[kVector]) {
    if constexpr (kVector == 1) {
      values[0] = static_cast<float>(row);
    } else {
      widen_chunk(&row, values);
    }
  }

  __device__ __forceinline__ const Row& row_at(int i) const {
    return *reinterpret_cast<const Row*>(x_ + i * args_.dim);
  }

  // Starts the loads of the next of so many rows.
  __device__ __forceinline__ void fetch(int rows) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      ahead_[i] = Row();
      if (i < rows) ahead_[i] = row_at(i);
    }
  }

  // Takes the inputs before x_.
  __device__ __forceinline__ void look_back(const ConvSequence& sequence, int64_t step) {
    if (step - kBefore >= sequence.begin) {
#pragma unroll
      for (int k = 0; k < kBefore; ++k) widen(row_at(k - kBefore), window_[k]);
      return;
    }
    const auto steps = static_cast<int>(step - sequence.begin);
    const Element* past = end_of_past<Element>(args_, sequence.number, channel_);
#pragma unroll
    for (int k = 0; k < kBefore; ++k) {
      if (k - kBefore + steps >= 0) {
        widen(row_at(k - kBefore), window_[k]);
      } else {
#pragma unroll
        for (int j = 0; j < kVector; ++j) {
          const Element* end = past == nullptr ? nullptr : past + j * args_.kept;
          window_[k][j] = past_input(args_, end, kBefore - k - steps);
        }
      }
    }
  }

  // The next of so many rows.
  __device__ __forceinline__ void walk(int rows) {
    Row now[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) now[i] = ahead_[i];
    x_ += kRows * args_.dim;
    fetch(rows - kRows);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      widen(now[i], window_[kBefore]);
      float y[kVector];
      convolve(y);
      if (i < rows) store_row(y);
      out_ += args_.dim;
#pragma unroll
      for (int k = 0; k < kBefore; ++k) {
#pragma unroll
        for (int j = 0; j < kVector; ++j) window_[k][j] = window_[k + 1][j];
      }
    }
  }

  __device__ __forceinline__ void convolve(float (&y)[kVector]) const {
#pragma unroll
    for (int j = 0; j < kVector; ++j) {
      float inputs[kWindow];
#pragma unroll
      for (int k = 0; k < kWindow; ++k) inputs[k] = window_[k][j];
      y[j] = filters_[j].apply(inputs);
    }
  }

  __device__ __forceinline__ void store_row(const float (&y)[kVector]) const {
    if constexpr (kVector == 1) {
      *out_ = narrow<Element>(y[0]);
    } else {
      store_chunk(out_, y);
    }
  }

  // Of the sequence that ends there, which is looked up again: nothing of it stays in registers until then.
  __device__ __forceinline__ void keep_state(int64_t end) const {
    const ConvSequence sequence = sequence_at(args_, entry_, end - 1);
    using Bits = std::conditional_t<sizeof(Element) == 4, uint32_t, uint16_t>;
    const int64_t offset = (entry_ * args_.seqlen + sequence.begin) * args_.dim + channel_;
    const auto* first = static_cast<const Bits*>(args_.x) + offset;
    const int64_t row = sequence.number * args_.dim + channel_;
    keep_inputs<kVector>(args_, row, first, end - sequence.begin, args_.dim);
  }

  const ConvArgs& args_;
  const int64_t entry_;
  const int64_t channel_;
  const Element* x_;  // the next rows
  Element* out_;
  Filter<Element, kWindow> filters_[kVector];
  float window_[kWindow][kVector];  // the newest inputs, the oldest first
  Row ahead_[kRows];
};

template <typename Element, int kWindow, int kVector>
__global__ void __launch_bounds__(kConvThreads, kConvBlocks) convolve_channels(const __grid_constant__ ConvArgs args) {
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
