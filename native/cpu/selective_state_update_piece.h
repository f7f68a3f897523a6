// What the op asks of a kernel: all tokens of some channels of one row, in plain data, so that kernels built for
// different vector sets share nothing with each other but this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../ops.h"

namespace selective_scan {

struct StateUpdatePiece {
  const SelectiveStateUpdateParams* params = nullptr;
  int64_t row = 0;
  int64_t slot = 0;
  int64_t channel = 0;  // the first channel; all are of one group
  int64_t channels = 0;
  float* scratch = nullptr;  // scratch_floats(), 64-byte aligned
};

struct StateUpdateKernel {
  int lanes;  // channels that are worked on at a time
  size_t (*scratch_floats)(const SelectiveStateUpdateParams& params);
  void (*run)(const StateUpdatePiece& piece);
};

// One for each vector set; those not of the target's architecture are not built.
const StateUpdateKernel& selective_state_update_avx512();
const StateUpdateKernel& selective_state_update_avx2();
const StateUpdateKernel& selective_state_update_neon();
const StateUpdateKernel& selective_state_update_portable();

}  // namespace selective_scan
