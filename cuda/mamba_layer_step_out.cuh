// The last kernel of a layer's step: out_proj.
#pragma once

#include "mamba_layer_step_args.cuh"

namespace selective_scan {

template <typename Element>
struct LayerOutput {
  const LayerStepArgs& args;
  int64_t first;  // row of the batch
  int64_t at = 0;
  uint32_t bias = 0;  // as it lies in memory
  int32_t slot = 0;

  __device__ __forceinline__ void begin(int64_t row, int m) {
    at = (first + m) * args.params.hidden + row;
    bias = load_raw<Element>(args.params.out_bias, row);
    slot = slot_of(args, first + m);
  }
  __device__ __forceinline__ void end(float value) const {
    const float sum = value + widen_raw<Element>(bias, args.params.out_bias.dtype);
    const float out = is_there(args, slot) ? sum : value_without(slot);
    static_cast<Element*>(args.params.out)[at] = narrow<Element>(out);
  }
};

template <typename Element>
__global__ void __launch_bounds__(kProductThreads, kProductBlocks<Element>)
    mamba_layer_step_out(const __grid_constant__ LayerStepArgs args) {
  const MambaLayerStepParams& p = args.params;
  const int columns = static_cast<int>(p.dim);
  const BatchRows batch = batch_rows(args, args.out_rows);
  const WeightMatrix matrix = {p.out_proj, columns, columns * sizeof(Element) % kPieceBytes == 0};
  const ProductMemory<Element> memory(columns, batch.count);
  WeightStream<Element> stream(matrix, range_of(args.out_shares, blockIdx.x), memory);
  LayerOutput<Element> output = {args, batch.first};

  stream.begin();
  stream.begin_output(batch.count, output);
  follow_earlier_kernels();
  load_activations(memory, static_cast<const Element*>(args.y) + batch.first * columns, columns, batch.count);
  stream.multiply(batch.count, output);
}

}  // namespace selective_scan
