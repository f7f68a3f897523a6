// The first kernel of a layer's step: the normalised residual, in_proj, and of the half that is x the convolution's
// step and silu. Each block normalises the rows for itself. The sum of the residual and the input is written by the
// second kernel, when no block reads the old one any more.
#pragma once

#include "mamba_layer_step_args.cuh"

namespace selective_scan {

// Of a warp's copies of weights, those that are started while rows are read.
constexpr int kEarlySteps = 1;

// Activations are rounded before they are divided by their root mean square. float16 has room for small ones, which eps
// damps where all are small, but not for the largest sums of a float32 residual.
template <typename Element>
constexpr float kActivationScale = std::is_same_v<Element, __half> ? 0.0625f : 1.0f;

// What a thread makes of a product of in_proj: an element of z, or of x, which the convolution makes one of u.
template <typename Element>
class ConvolvedOutput {
 public:
  // `squares`: see NormalizedRows.
  __device__ __forceinline__ ConvolvedOutput(const LayerStepArgs& args, int64_t first, const float* squares)
      : args_(args), p_(args.params), first_(first), squares_(squares) {}

  __device__ __forceinline__ void prefetch(int64_t row) const {
    if (row >= p_.dim) return;
    prefetch_line(address_of<Element>(p_.conv_weight.data, p_.conv_weight.dtype, row * p_.width));
    if (p_.conv_bias.data != nullptr) prefetch_line(address_of<Element>(p_.conv_bias.data, p_.conv_bias.dtype, row));
    if (args_.slots == nullptr) {
      const int64_t at = (first_ * p_.dim + row) * (p_.width - 1);
      prefetch_line(address_of<Element>(p_.conv_state, p_.conv_state_dtype, at));
    }
  }

  __device__ __forceinline__ void begin(int64_t row, int m) {
    row_ = row;
    m_ = m;
    bias_ = load_raw<Element>(p_.in_bias, row);
    if (row >= p_.dim) return;
    const int64_t slot = slot_of(args_, first_ + m);
    has_slot_ = is_there(args_, static_cast<int32_t>(slot));
    in_state_ = (slot * p_.dim + row) * (p_.width - 1);
    conv_bias_ = load_raw<Element>(p_.conv_bias, row);
#pragma unroll
    for (int k = 0; k < kMostStepWidth; ++k) {
      weight_[k] = k < p_.width ? load_raw<Element>(p_.conv_weight, row * p_.width + k) : 0;
    }
#pragma unroll
    for (int k = 0; k < kMostStepWidth - 1; ++k) {
      const bool has_state = has_slot_ && k < p_.width - 1;
      state_[k] = has_state ? load_raw<Element>(p_.conv_state, p_.conv_state_dtype, in_state_ + k) : 0;
    }
  }

  __device__ __forceinline__ void end(float value) {
    float squares = 0.0f;
#pragma unroll
    for (int warp = 0; warp < kProductWarps; ++warp) squares += squares_[m_ * kProductWarps + warp];
    const float scale = rsqrtf(fmaf(squares, args_.inverse_hidden, p_.eps)) / kActivationScale<Element>;
    value = fmaf(value, scale, widen_raw<Element>(bias_, p_.in_bias.dtype));
    const int64_t batch_row = first_ + m_;
    if (row_ >= p_.dim) {
      static_cast<Element*>(args_.z)[batch_row * p_.dim + row_ - p_.dim] = narrow<Element>(value);
      return;
    }
    float taps[kMostStepWidth];
#pragma unroll
    for (int k = 0; k < kMostStepWidth; ++k) {
      taps[k] = 0.0f;
      if (k < kMostStepWidth - 1) taps[k] = widen_raw<Element>(state_[k], p_.conv_state_dtype);
      if (k == p_.width - 1) taps[k] = value;
    }
    float sum = widen_raw<Element>(conv_bias_, p_.conv_bias.dtype);
#pragma unroll
    for (int k = 0; k < kMostStepWidth; ++k) {
      sum = fmaf(widen_raw<Element>(weight_[k], p_.conv_weight.dtype), taps[k], sum);
    }
    static_cast<Element*>(args_.u)[batch_row * p_.dim + row_] = narrow<Element>(silu<Element>(sum));
    if (!has_slot_) return;
#pragma unroll
    for (int k = 0; k < kMostStepWidth - 1; ++k) {
      if (k >= p_.width - 1) break;
      if (p_.conv_state_dtype == DType::kFloat32) {
        static_cast<float*>(p_.conv_state)[in_state_ + k] = taps[k + 1];
      } else {
        static_cast<Element*>(p_.conv_state)[in_state_ + k] = narrow<Element>(taps[k + 1]);
      }
    }
  }

 private:
  const LayerStepArgs& args_;
  const MambaLayerStepParams& p_;
  const int64_t first_;
  const float* const squares_;
  int64_t row_ = 0;
  int m_ = 0;
  int64_t in_state_ = 0;
  bool has_slot_ = false;
  // As they lie in memory.
  uint32_t bias_ = 0;
  uint32_t conv_bias_ = 0;
  uint32_t weight_[kMostStepWidth];
  uint32_t state_[kMostStepWidth - 1];
};

// Residual + input times the norm's weight, as the block's rows of activations, and each warp's sums of the squares of
// residual + input, which all products of a row are divided by in the end: so nothing waits for them.
template <typename Element>
class NormalizedRows {
 public:
  __device__ __forceinline__ NormalizedRows(const MambaLayerStepParams& params, BatchRows batch,
                                            const ProductMemory<Element>& memory, float* squares)
      : p_(params),
        batch_(batch),
        memory_(memory),
        columns_(static_cast<int>(params.hidden)),
        residual_(params.residual + batch.first * params.hidden),
        input_(static_cast<const Element*>(params.input) + batch.first * params.hidden),
        squares_(squares) {}

  // `meanwhile` is called whenever loads are under way.
  template <typename Meanwhile>
  __device__ __forceinline__ void load(Meanwhile meanwhile) {
    if (columns_ % kVector == 0) {
      load_vectors(meanwhile);
    } else {
      meanwhile();
      load_elements();
    }
    for (int m = 0; m < batch_.count; ++m) {
      Element* const x = memory_.activations + m * memory_.stride;
      for (int i = columns_ + threadIdx.x; i < memory_.stride; i += kProductThreads) x[i] = narrow<Element>(0.0f);
    }
  }

 private:
  static constexpr int kVector = 4;
  static constexpr int kVectors = 4;
  static constexpr int kStep = kVector * kProductThreads;

  // Four vectors of a thread are under way at a time, of one row or, where there are several, of as many rows. A row's
  // vectors are added up in their order in either case.
  template <typename Meanwhile>
  __device__ __forceinline__ void load_vectors(Meanwhile meanwhile) {
    const bool is_one_row = batch_.count == 1;
    const int next_column = is_one_row ? kStep : 0;
    const int next_row = is_one_row ? 0 : 1;
    const int first = kVector * threadIdx.x;
    for (int m = 0; m < batch_.count; m += kVectors) {
      float squares[kVectors] = {};
      for (int i = first; i < columns_; i += kStep + (kVectors - 1) * next_column) {
        fetch(m, i);
        meanwhile();
#pragma unroll
        for (int k = 0; k < kVectors; ++k) {
          if (k >= vectors_) break;
          Element* const to = memory_.activations + (m + k * next_row) * memory_.stride + i + k * next_column;
          const float of_vector = use(k, to);
          if (is_one_row) {
            squares[0] += of_vector;
          } else {
            squares[k] += of_vector;
          }
        }
      }
#pragma unroll
      for (int k = 0; k < kVectors; ++k) {
        if (m + k < batch_.count) store_squares(m + k, squares[k]);
      }
    }
  }

  __device__ __forceinline__ void fetch(int m, int column) {
    const bool is_one_row = batch_.count == 1;
    const int next_column = is_one_row ? kStep : 0;
    const int next = is_one_row ? kStep : columns_;
    const int at = m * columns_ + column;
    vectors_ = is_one_row ? (columns_ - column + kStep - 1) / kStep : column < columns_ ? batch_.count - m : 0;
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      if (k >= vectors_) break;
      rows_[k].residual = *reinterpret_cast<const Chunk<float, kVector>*>(residual_ + at + k * next);
      rows_[k].input = *reinterpret_cast<const Chunk<Element, kVector>*>(input_ + at + k * next);
      const int from = column + k * next_column;
      if (has_wide_weight()) {
        rows_[k].weight = reinterpret_cast<const Chunk<float, kVector>*>(p_.norm_weight.data)[from / kVector];
      } else {
        const auto chunk = reinterpret_cast<const Chunk<Element, kVector>*>(p_.norm_weight.data)[from / kVector];
#pragma unroll
        for (int word = 0; word < chunk.kWords; ++word) rows_[k].weight.words[word] = chunk.words[word];
      }
    }
  }

  __device__ __forceinline__ bool has_wide_weight() const {
    return sizeof(Element) == 4 || p_.norm_weight.dtype == DType::kFloat32;
  }

  // Stores a vector of activations; returns its part of the squares.
  __device__ __forceinline__ float use(int k, Element* to) const {
    float r[kVector];
    float x[kVector];
    float w[kVector];
    widen_chunk(&rows_[k].residual, r);
    widen_chunk(&rows_[k].input, x);
    if (has_wide_weight()) {
      widen_chunk(&rows_[k].weight, w);
    } else {
      Chunk<Element, kVector> chunk;
#pragma unroll
      for (int word = 0; word < chunk.kWords; ++word) chunk.words[word] = rows_[k].weight.words[word];
      widen_chunk(&chunk, w);
    }
    float squares = 0.0f;
#pragma unroll
    for (int j = 0; j < kVector; ++j) {
      const float sum = r[j] + x[j];
      squares = fmaf(sum, sum, squares);
      x[j] = sum * w[j] * kActivationScale<Element>;
    }
    store_chunk(to, x);
    return squares;
  }

  __device__ __forceinline__ void load_elements() const {
    for (int m = 0; m < batch_.count; ++m) {
      float squares = 0.0f;
      for (int i = threadIdx.x; i < columns_; i += kProductThreads) {
        const float sum = residual_[m * columns_ + i] + static_cast<float>(input_[m * columns_ + i]);
        const uint32_t weight = load_raw<Element>(p_.norm_weight, i);
        squares = fmaf(sum, sum, squares);
        memory_.activations[m * memory_.stride + i] =
            narrow<Element>(sum * widen_raw<Element>(weight, p_.norm_weight.dtype) * kActivationScale<Element>);
      }
      store_squares(m, squares);
    }
  }

  __device__ __forceinline__ void store_squares(int m, float squares) const {
#pragma unroll
    for (int offset = 16; offset >= 1; offset /= 2) squares += __shfl_xor_sync(~0u, squares, offset);
    if (threadIdx.x % 32 == 0) squares_[m * kProductWarps + threadIdx.x / 32] = squares;
  }

  const MambaLayerStepParams& p_;
  const BatchRows batch_;
  const ProductMemory<Element>& memory_;
  const int columns_;
  const float* const residual_;  // of the block's first row
  const Element* const input_;
  float* const squares_;
  struct {
    Chunk<float, kVector> residual;
    Chunk<Element, kVector> input;
    Chunk<float, kVector> weight;  // as it lies in memory, in the first words
  } rows_[kVectors];
  int vectors_ = 0;  // of rows_ that are there, or more
};

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, kProductBlocks<Element>)
    mamba_layer_step_in(const __grid_constant__ LayerStepArgs args) {
  __shared__ float squares[kProductRows * kProductWarps];
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.hidden);
  const BatchRows batch = batch_rows(args, args.in_rows);
  const WeightMatrix matrix = {p.in_proj, columns, columns * sizeof(Element) % kPieceBytes == 0};
  const RowRange rows = range_of(args.in_shares, blockIdx.x);
  const ProductMemory<Element> memory(columns, batch.count);
  WeightStream<Element> stream(matrix, rows, memory);
  ConvolvedOutput<Element> output(args, batch.first, squares);

  // Whatever ran before may have written any of this, so nothing is read yet.
  if (rows.first + threadIdx.x < rows.end) output.prefetch(rows.first + threadIdx.x);
  constexpr int kLine = 128 / sizeof(float);
  for (int i = threadIdx.x * kLine; i < columns; i += kProductThreads * kLine) {
    prefetch_line(address_of<Element>(p.norm_weight.data, p.norm_weight.dtype, i));
  }

  follow_earlier_kernels();
  // A multiprocessor takes copies no faster than they end, and what comes behind them waits: the weights that are
  // needed first are asked for beside the rows, the others when these have come.
  NormalizedRows<Element>(p, batch, memory, squares).load([&] { stream.begin(kEarlySteps); });
  stream.begin();
  stream.begin_output(batch.count, output);
  __syncthreads();
  stream.multiply(batch.count, output);
}

}  // namespace selective_scan
