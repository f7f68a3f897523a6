// The second kernel of a layer's step: x_proj, which makes dt, B and C of u. It is short and leaves the device's memory
// idle, so it also has the weights of the last kernel brought into the second-level cache, and it adds the input to the
// residual, which the first kernel has read by now.
#pragma once

#include "mamba_layer_step_args.cuh"
#include "weight_stream.cuh"

namespace selective_scan {

constexpr int64_t kAheadBytes = 96 << 10;  // of the weights of each block of the last kernel

struct SelectedOutput {
  float* selected;  // of the block's first row of the batch
  int64_t columns;
  float* target = nullptr;

  __device__ __forceinline__ void begin(int64_t row, int m) { target = selected + m * columns + row; }
  __device__ __forceinline__ void end(float value) const { *target = value; }
};

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, 2) mamba_layer_step_select(const __grid_constant__ LayerStepArgs args) {
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.dim);
  const BatchRows batch = batch_rows(args, args.select_rows);
  const bool has_whole_pieces = columns * sizeof(Element) % kPieceBytes == 0;
  const WeightMatrix matrix = {p.x_proj, p.dt_rank + 2 * p.dstate, columns, has_whole_pieces};
  const ProductMemory<Element> memory(columns);
  WeightStream<Element> stream(matrix, share_of(matrix.rows, blockIdx.x, gridDim.x), memory);
  SelectedOutput output = {args.selected + batch.first * matrix.rows, matrix.rows};

  stream.begin();
  follow_earlier_kernels();
  load_activations(memory, static_cast<const Element*>(args.u) + batch.first * columns, columns, batch.count);

  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kProductThreads + threadIdx.x;
  const int64_t threads = static_cast<int64_t>(gridDim.x) * kProductThreads;
  if (blockIdx.y == 0) {
    const WeightMatrix next = {p.out_proj, p.hidden, columns, has_whole_pieces};
    prefetch_shares<Element>(next, args.out_blocks, kAheadBytes, thread, threads);
  }
  const auto* const input = static_cast<const Element*>(p.input) + batch.first * p.hidden;
  float* const residual = p.residual + batch.first * p.hidden;
  for (int64_t i = thread; i < batch.count * p.hidden; i += threads) residual[i] += static_cast<float>(input[i]);

  __syncthreads();
  stream.multiply(batch.count, output);
}

}  // namespace selective_scan
