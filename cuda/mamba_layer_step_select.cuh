// The second kernel of a layer's step: x_proj, which makes dt, B and C of u. It also adds the input to the residual,
// which the first kernel has read by now.
#pragma once

#include "mamba_layer_step_args.cuh"

namespace selective_scan {

// Enough for the rows of a block, and less than leaves no room for the kernels after it.
constexpr int kSelectSteps = 5;

struct SelectedOutput {
  float* selected;  // of the block's first row of the batch
  int64_t columns;
  float* target = nullptr;

  __device__ __forceinline__ void begin(int64_t row, int m) { target = selected + m * columns + row; }
  __device__ __forceinline__ void end(float value) const { *target = value; }
};

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, kProductBlocks<Element>)
    mamba_layer_step_select(const __grid_constant__ LayerStepArgs args) {
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.dim);
  const BatchRows batch = batch_rows(args, args.select_rows);
  const bool has_whole_pieces = columns * sizeof(Element) % kPieceBytes == 0;
  const WeightMatrix matrix = {p.x_proj, columns, has_whole_pieces};
  const int64_t outputs = p.dt_rank + 2 * p.dstate;
  const ProductMemory<Element, kSelectSteps> memory(columns, batch.count);
  WeightStream<Element, kSelectSteps> stream(matrix, range_of(args.select_shares, blockIdx.x), memory);
  SelectedOutput output = {args.selected + batch.first * outputs, outputs};
  const unsigned thread = blockIdx.x * kProductThreads + threadIdx.x;
  const unsigned threads = gridDim.x * kProductThreads;
  const auto* const input = static_cast<const Element*>(p.input) + batch.first * p.hidden;
  float* const residual = p.residual + batch.first * p.hidden;
  const int64_t sums = batch.count * p.hidden;

  stream.begin();
  stream.begin_output(batch.count, output);
  // The first kernel only reads these, so they can be read before it has ended.
  float sum = 0.0f;
  if (thread < sums) sum = __ldcg(residual + thread) + static_cast<float>(__ldcg(input + thread));
  follow_earlier_kernels();
  load_activations(memory, static_cast<const Element*>(args.u) + batch.first * columns, columns, batch.count);
  stream.multiply(batch.count, output);
  if (thread < sums) residual[thread] = sum;
  for (int64_t i = int64_t{thread} + threads; i < sums; i += threads) residual[i] += static_cast<float>(input[i]);
}

}  // namespace selective_scan
