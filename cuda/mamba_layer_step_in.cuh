// The first kernel of a layer's step: the normalised residual, in_proj, and of the half that is x the convolution's
// step and silu. Each block normalises the rows for itself. The sum of the residual and the input is written by the
// second kernel, when no block reads the old one any more.
#pragma once

#include "mamba_layer_step_args.cuh"
#include "weight_stream.cuh"

namespace selective_scan {

constexpr int kMostConvWidth = 4;
constexpr int64_t kInPrefetchBytes = 64 << 10;  // of a block's weights, while the kernel before still runs

// What a thread makes of a product of in_proj: an element of z, or of x, which the convolution makes one of u.
template <typename Element>
class ConvolvedOutput {
 public:
  __device__ __forceinline__ ConvolvedOutput(const LayerStepArgs& args, int64_t first)
      : args_(args), p_(args.params), first_(first) {}

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
    batch_row_ = first_ + m;
    bias_ = load_bias<Element>(p_.in_bias, row);
    if (row >= p_.dim) return;
    const int64_t slot = slot_of(args_, batch_row_);
    has_slot_ = is_there(args_, static_cast<int32_t>(slot));
    in_state_ = (slot * p_.dim + row) * (p_.width - 1);
    conv_bias_ = load_bias<Element>(p_.conv_bias, row);
#pragma unroll
    for (int k = 0; k < kMostConvWidth; ++k) {
      weight_[k] = 0.0f;
      if (k < p_.width) weight_[k] = load_float<Element>(p_.conv_weight.data, p_.conv_weight.dtype, row * p_.width + k);
    }
#pragma unroll
    for (int k = 0; k < kMostConvWidth - 1; ++k) {
      state_[k] = 0.0f;
      if (has_slot_ && k < p_.width - 1) {
        state_[k] = load_float<Element>(p_.conv_state, p_.conv_state_dtype, in_state_ + k);
      }
    }
  }

  __device__ __forceinline__ void end(float value) {
    value += bias_;
    if (row_ >= p_.dim) {
      static_cast<Element*>(args_.z)[batch_row_ * p_.dim + row_ - p_.dim] = narrow<Element>(value);
      return;
    }
    float sum = conv_bias_;
#pragma unroll
    for (int k = 0; k < kMostConvWidth; ++k) {
      const float x = k == p_.width - 1 ? value : k < kMostConvWidth - 1 ? state_[k] : 0.0f;
      sum = fmaf(weight_[k], x, sum);
    }
    static_cast<Element*>(args_.u)[batch_row_ * p_.dim + row_] = narrow<Element>(silu<Element>(sum));
    if (!has_slot_) return;
#pragma unroll
    for (int k = 0; k < kMostConvWidth - 1; ++k) {
      if (k >= p_.width - 1) break;
      const float x = k + 1 < kMostConvWidth - 1 && k + 1 < p_.width - 1 ? state_[k + 1] : value;
      if (p_.conv_state_dtype == DType::kFloat32) {
        static_cast<float*>(p_.conv_state)[in_state_ + k] = x;
      } else {
        static_cast<Element*>(p_.conv_state)[in_state_ + k] = narrow<Element>(x);
      }
    }
  }

 private:
  const LayerStepArgs& args_;
  const MambaLayerStepParams& p_;
  const int64_t first_;
  int64_t row_ = 0;
  int64_t batch_row_ = 0;
  int64_t in_state_ = 0;
  bool has_slot_ = false;
  float bias_ = 0.0f;
  float conv_bias_ = 0.0f;
  float weight_[kMostConvWidth];
  float state_[kMostConvWidth - 1];
};

// The thread's part of residual + input of a row, in steps of four where rows are whole vectors.
template <typename Element, typename Take>
__device__ __forceinline__ void for_each_sum(const MambaLayerStepParams& p, int64_t row, Take take) {
  const int columns = static_cast<int>(p.hidden);
  const float* const residual = p.residual + row * columns;
  const Element* const input = static_cast<const Element*>(p.input) + row * columns;
  if (columns % 4 == 0) {
    for (int i = 4 * threadIdx.x; i < columns; i += 4 * kProductThreads) {
      const float4 r = *reinterpret_cast<const float4*>(residual + i);
      float x[4];
      widen_chunk(reinterpret_cast<const Chunk<Element, 4>*>(input + i), x);
      take(i, r.x + x[0]);
      take(i + 1, r.y + x[1]);
      take(i + 2, r.z + x[2]);
      take(i + 3, r.w + x[3]);
    }
  } else {
    for (int i = threadIdx.x; i < columns; i += kProductThreads) take(i, residual[i] + static_cast<float>(input[i]));
  }
}

// The block's rows of activations.
template <typename Element>
__device__ __forceinline__ void normalize(const LayerStepArgs& args, BatchRows batch,
                                          const ProductMemory<Element>& memory) {
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.hidden);
  const int warp = threadIdx.x / 32;
  for (int m = 0; m < batch.count; ++m) {
    float squares = 0.0f;
    for_each_sum<Element>(p, batch.first + m, [&](int, float r) { squares = fmaf(r, r, squares); });
#pragma unroll
    for (int offset = 16; offset >= 1; offset /= 2) squares += __shfl_xor_sync(~0u, squares, offset);
    if (threadIdx.x % 32 == 0) memory.sums[m * kProductWarps + warp] = squares;
  }
  __syncthreads();
  for (int m = 0; m < batch.count; ++m) {
    float squares = 0.0f;
#pragma unroll
    for (int w = 0; w < kProductWarps; ++w) squares += memory.sums[m * kProductWarps + w];
    const float scale = rsqrtf(squares / static_cast<float>(columns) + p.eps);
    Element* const x = memory.activations + m * memory.stride;
    for_each_sum<Element>(p, batch.first + m, [&](int i, float r) {
      x[i] = narrow<Element>(r * scale * load_float<Element>(p.norm_weight.data, p.norm_weight.dtype, i));
    });
    for (int i = columns + threadIdx.x; i < memory.stride; i += kProductThreads) x[i] = narrow<Element>(0.0f);
  }
  __syncthreads();
}

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, 2) mamba_layer_step_in(const __grid_constant__ LayerStepArgs args) {
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.hidden);
  const BatchRows batch = batch_rows(args, args.in_rows);
  const WeightMatrix matrix = {p.in_proj, 2 * p.dim, columns, columns * sizeof(Element) % kPieceBytes == 0};
  const RowRange rows = share_of(matrix.rows, blockIdx.x, gridDim.x);
  const ProductMemory<Element> memory(columns);
  WeightStream<Element> stream(matrix, rows, memory);
  ConvolvedOutput<Element> output(args, batch.first);

  // Whatever ran before may have written any of this, so nothing is read yet.
  const WeightMatrix own = {static_cast<const Element*>(matrix.data) + rows.first * columns, rows.end - rows.first,
                            columns, matrix.has_whole_pieces};
  prefetch_shares<Element>(own, 1, kInPrefetchBytes, threadIdx.x, kProductThreads);
  if (rows.first + threadIdx.x < rows.end) output.prefetch(rows.first + threadIdx.x);
  constexpr int kLine = 128 / sizeof(float);
  for (int i = threadIdx.x * kLine; i < columns; i += kProductThreads * kLine) {
    prefetch_line(address_of<Element>(p.norm_weight.data, p.norm_weight.dtype, i));
  }

  follow_earlier_kernels();
  stream.begin();
  normalize<Element>(args, batch, memory);
  stream.multiply(batch.count, output);
}

}  // namespace selective_scan
