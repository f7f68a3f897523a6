// What the four kernels of a layer's step are given, and what several of them read.
#pragma once

#include <cstdint>

#include "../native/ops/mamba_layer_step.h"
#include "selective_state_update_lanes.cuh"
#include "weight_stream.cuh"

namespace selective_scan {

struct LayerStepArgs {
  MambaLayerStepParams params;
  const int32_t* slots = nullptr;  // device memory; null: row b has slot b
  uint32_t slots_end = 0;          // slots below are there

  float inverse_hidden = 0.0f;

  // Between the kernels.
  void* u = nullptr;          // [batch, dim], of the call's dtype
  void* z = nullptr;          // as u
  void* y = nullptr;          // as u
  float* selected = nullptr;  // [batch, dt_rank + 2 * dstate]: dt, B and C

  // Rows of the batch that a block takes, and how the matrices are shared out.
  int in_rows = 0;
  int select_rows = 0;
  int scan_rows = 0;
  int out_rows = 0;
  RowShares in_shares;
  RowShares select_shares;
  RowShares out_shares;
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

// An element as it lies in memory: converting it at once would wait for it.
template <typename Element>
__device__ __forceinline__ uint32_t load_raw(const void* data, DType dtype, int64_t index) {
  if (sizeof(Element) == 4 || dtype == DType::kFloat32) return static_cast<const uint32_t*>(data)[index];
  return static_cast<const uint16_t*>(data)[index];
}

template <typename Element>
__device__ __forceinline__ float widen_raw(uint32_t raw, DType dtype) {
  if (sizeof(Element) == 4 || dtype == DType::kFloat32) return __uint_as_float(raw);
  return widen_pair<Element>(raw).x;
}

template <typename Element>
__device__ __forceinline__ uint32_t load_raw(const FloatArray& array, int64_t index) {
  return array.data == nullptr ? 0 : load_raw<Element>(array.data, array.dtype, index);
}

}  // namespace selective_scan
