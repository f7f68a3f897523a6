// The first kernel of a layer's step: the normalised residual, in_proj, and of the half that is x the convolution's
// step and silu. Each block normalises the rows for itself. The sum of the residual and the input is written by the
// second kernel, when no block reads the old one any more.
#pragma once

#include "mamba_layer_step_args.cuh"

namespace selective_scan {

constexpr int kInPrefetches = 16;  // of a block's weights, while the kernel before still runs

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
    const float scale = rsqrtf(squares / static_cast<float>(p_.hidden) + p_.eps) / kActivationScale<Element>;
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
// residual + input, which all products of a row are divided by in the end: so nothing waits for them. Four vectors of a
// thread are under way at a time, of one row or, where there are several, of as many rows.
template <typename Element>
class NormalizedRows {
 public:
  __device__ __forceinline__ NormalizedRows(const MambaLayerStepParams& params, BatchRows batch,
                                            const ProductMemory<Element>& memory, float* squares)
      : p_(params),
        batch_(batch),
        memory_(memory),
        columns_(static_cast<int>(params.hidden)),
        has_vectors_(params.hidden % kVector == 0),
        squares_(squares) {}

  __device__ __forceinline__ void load() const {
    const int rows = batch_.count == 1 ? 1 : kVectors;
    for (int m = 0; m < batch_.count; m += rows) {
      float squares[kVectors] = {};
      const int step = kVector * kProductThreads * (rows == 1 ? kVectors : 1);
      for (int i = kVector * threadIdx.x; i < columns_; i += step) {
        const int next_row = rows == 1 ? 0 : 1;
        const int next_column = rows == 1 ? kVector * kProductThreads : 0;
        take(m, i, next_row, next_column, squares);
      }
#pragma unroll
      for (int k = 0; k < kVectors; ++k) {
        if (k >= rows || m + k >= batch_.count) break;
#pragma unroll
        for (int offset = 16; offset >= 1; offset /= 2) squares[k] += __shfl_xor_sync(~0u, squares[k], offset);
        if (threadIdx.x % 32 == 0) squares_[(m + k) * kProductWarps + threadIdx.x / 32] = squares[k];
      }
    }
    for (int m = 0; m < batch_.count; ++m) {
      Element* const x = memory_.activations + m * memory_.stride;
      for (int i = columns_ + threadIdx.x; i < memory_.stride; i += kProductThreads) x[i] = narrow<Element>(0.0f);
    }
  }

 private:
  static constexpr int kVector = 4;
  static constexpr int kVectors = 4;

  __device__ __forceinline__ void take(int m, int i, int next_row, int next_column, float (&squares)[kVectors]) const {
    Chunk<float, kVector> residual[kVectors];
    Chunk<Element, kVector> input[kVectors];
    uint4 weight[kVectors];
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      residual[k] = {};
      input[k] = {};
      const int column = i + k * next_column;
      const int count = m + k * next_row < batch_.count ? columns_ - column : 0;
      const int64_t at = (batch_.first + m + k * next_row) * columns_ + column;
      fetch(&residual[k], p_.residual + at, count);
      fetch(&input[k], static_cast<const Element*>(p_.input) + at, count);
      weight[k] = raw_weight(column, count);
    }
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const int column = i + k * next_column;
      const int count = m + k * next_row < batch_.count ? columns_ - column : 0;
      float r[kVector];
      float x[kVector];
      float w[kVector];
      widen_chunk(&residual[k], r);
      widen_chunk(&input[k], x);
      widen_weight(weight[k], w);
      float of_vector = 0.0f;
#pragma unroll
      for (int j = 0; j < kVector; ++j) {
        const float sum = r[j] + x[j];
        of_vector = fmaf(sum, sum, of_vector);
        x[j] = sum * w[j] * kActivationScale<Element>;
      }
      // A row's vectors are added up in their order in either case.
      if (next_row == 0) {
        squares[0] += of_vector;
      } else {
        squares[k] += of_vector;
      }
      Element* const to = memory_.activations + (m + k * next_row) * memory_.stride + column;
      if (count >= kVector) {
        store_chunk(to, x);
      } else {
        store_elements(to, x, count);
      }
    }
  }

  // An incomplete vector is left with zeros, one that is not aligned is read element by element.
  template <typename T>
  __device__ __forceinline__ void fetch(Chunk<T, kVector>* chunk, const T* from, int count) const {
    if (has_vectors_) {
      if (count > 0) *chunk = *reinterpret_cast<const Chunk<T, kVector>*>(from);
    } else {
      fetch_elements(chunk, from, count);
    }
  }

  __device__ __forceinline__ uint4 raw_weight(int column, int count) const {
    Chunk<float, kVector> wide = {};
    if (sizeof(Element) == 4 || p_.norm_weight.dtype == DType::kFloat32) {
      fetch(&wide, static_cast<const float*>(p_.norm_weight.data) + column, count);
    } else {
      Chunk<Element, kVector> chunk = {};
      fetch(&chunk, static_cast<const Element*>(p_.norm_weight.data) + column, count);
      memcpy(&wide, &chunk, sizeof(chunk));
    }
    return {wide.words[0], wide.words[1], wide.words[2], wide.words[3]};
  }

  __device__ __forceinline__ void widen_weight(const uint4& raw, float (&w)[kVector]) const {
    if (sizeof(Element) == 4 || p_.norm_weight.dtype == DType::kFloat32) {
      widen_chunk(reinterpret_cast<const Chunk<float, kVector>*>(&raw), w);
    } else {
      widen_chunk(reinterpret_cast<const Chunk<Element, kVector>*>(&raw), w);
    }
  }

  const MambaLayerStepParams& p_;
  const BatchRows batch_;
  const ProductMemory<Element>& memory_;
  const int columns_;
  const bool has_vectors_;
  float* const squares_;
};

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, 2) mamba_layer_step_in(const __grid_constant__ LayerStepArgs args) {
  __shared__ float squares[kProductRows * kProductWarps];
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.hidden);
  const BatchRows batch = batch_rows(args, args.in_rows);
  const WeightMatrix matrix = {p.in_proj, columns, columns * sizeof(Element) % kPieceBytes == 0};
  const RowRange rows = range_of(args.in_shares, blockIdx.x);
  const ProductMemory<Element> memory(columns);
  WeightStream<Element> stream(matrix, rows, memory);
  ConvolvedOutput<Element> output(args, batch.first, squares);

  // Whatever ran before may have written any of this, so nothing is read yet.
  if (threadIdx.x < kInPrefetches) prefetch_rows<Element>(matrix, rows, threadIdx.x);
  if (rows.first + threadIdx.x < rows.end) output.prefetch(rows.first + threadIdx.x);
  constexpr int kLine = 128 / sizeof(float);
  for (int i = threadIdx.x * kLine; i < columns; i += kProductThreads * kLine) {
    prefetch_line(address_of<Element>(p.norm_weight.data, p.norm_weight.dtype, i));
  }

  follow_earlier_kernels();
  stream.begin();
  NormalizedRows<Element>(p, batch, memory, squares).load();
  __syncthreads();
  stream.multiply(batch.count, output);
}

}  // namespace selective_scan
