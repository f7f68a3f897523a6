// What the four kernels of a layer's step are given, and what several of them read.
#pragma once

#include <cstdint>

#include "../native/ops/mamba_layer_step.h"
#include "selective_state_update_lanes.cuh"

namespace selective_scan {

struct LayerStepArgs {
  MambaLayerStepParams params;
  const int32_t* slots = nullptr;  // device memory; null: row b has slot b
  uint32_t slots_end = 0;          // slots below are there

  // Between the kernels.
  void* u = nullptr;          // [batch, dim], of the call's dtype
  void* z = nullptr;          // as u
  void* y = nullptr;          // as u
  float* selected = nullptr;  // [batch, dt_rank + 2 * dstate]: dt, B and C

  // Rows of the batch that a block takes, by kernel, and the blocks that share the weights of the last.
  int in_rows = 0;
  int select_rows = 0;
  int scan_rows = 0;
  int out_rows = 0;
  unsigned out_blocks = 0;
};

__device__ __forceinline__ int32_t slot_of(const LayerStepArgs& args, int64_t row) {
  return args.slots == nullptr ? static_cast<int32_t>(row) : args.slots[row];
}

__device__ __forceinline__ bool is_there(const LayerStepArgs& args, int32_t slot) {
  return static_cast<uint32_t>(slot) < args.slots_end;
}

// The rows of the batch that a block takes of `rows` each.
struct BatchRows {
  int64_t first;
  int count;
};

__device__ __forceinline__ BatchRows batch_rows(const LayerStepArgs& args, int rows) {
  const int64_t first = static_cast<int64_t>(blockIdx.y) * rows;
  return {first, clamp_count(args.params.batch - first, rows)};
}

template <typename Element>
__device__ __forceinline__ const void* address_of(const void* data, DType dtype, int64_t index) {
  return static_cast<const char*>(data) + index * (dtype == DType::kFloat32 ? sizeof(float) : sizeof(Element));
}

template <typename Element>
__device__ __forceinline__ float load_float(const void* data, DType dtype, int64_t index) {
  return dtype == DType::kFloat32 ? static_cast<const float*>(data)[index]
                                  : static_cast<float>(static_cast<const Element*>(data)[index]);
}

template <typename Element>
__device__ __forceinline__ float load_bias(const FloatArray& bias, int64_t index) {
  return bias.data == nullptr ? 0.0f : load_float<Element>(bias.data, bias.dtype, index);
}

}  // namespace selective_scan
