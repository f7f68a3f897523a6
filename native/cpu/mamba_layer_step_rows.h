// What the op asks of a vector set.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace selective_scan {

struct LayerStepRows {
  void (*widen)(const void* from, DType dtype, int64_t count, float* to);
  void (*narrow)(const float* from, DType dtype, int64_t count, void* to);
  void (*silu)(float* x, int64_t count);  // in place
};

// One for each vector set; those not of the target's architecture are not built.
const LayerStepRows& mamba_layer_step_avx512();
const LayerStepRows& mamba_layer_step_avx2();
const LayerStepRows& mamba_layer_step_neon();
const LayerStepRows& mamba_layer_step_portable();

}  // namespace selective_scan
