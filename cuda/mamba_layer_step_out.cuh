// The last kernel of a layer's step: out_proj.
#pragma once

#include "mamba_layer_step_args.cuh"
#include "weight_stream.cuh"

namespace selective_scan {

template <typename Element>
struct LayerOutput {
  const LayerStepArgs& args;
  int64_t first;  // row of the batch
  int64_t at = 0;
  float bias = 0.0f;
  int32_t slot = 0;

  __device__ __forceinline__ void begin(int64_t row, int m) {
    at = (first + m) * args.params.hidden + row;
    bias = load_bias<Element>(args.params.out_bias, row);
    slot = slot_of(args, first + m);
  }
  __device__ __forceinline__ void end(float value) const {
    const float out = is_there(args, slot) ? value + bias : value_without(slot);
    static_cast<Element*>(args.params.out)[at] = narrow<Element>(out);
  }
};

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, 2) mamba_layer_step_out(const __grid_constant__ LayerStepArgs args) {
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.dim);
  const BatchRows batch = batch_rows(args, args.out_rows);
  const WeightMatrix matrix = {p.out_proj, p.hidden, columns, columns * sizeof(Element) % kPieceBytes == 0};
  const ProductMemory<Element> memory(columns);
  WeightStream<Element> stream(matrix, share_of(matrix.rows, blockIdx.x, gridDim.x), memory);
  LayerOutput<Element> output = {args, batch.first};

  stream.begin();
  follow_earlier_kernels();
  load_activations(memory, static_cast<const Element*>(args.y) + batch.first * columns, columns, batch.count);
  __syncthreads();
  stream.multiply(batch.count, output);
}

}  // namespace selective_scan
