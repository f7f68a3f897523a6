// What the op asks of a kernel: one stretch of time of some channels, in plain data, so that kernels built for
// different vector sets share nothing with each other but this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../ops.h"

namespace selective_scan {

// A carry is the states of the slice's channels as the kernel holds them: [lane block][dstate][re, im][lanes].
struct ScanSlice {
  const SelectiveScanParams* params = nullptr;
  int64_t batch = 0;     // the row of u
  int64_t sequence = 0;  // the row of the states
  int64_t channel = 0;   // the first channel; all are of one group
  int64_t channels = 0;
  int64_t begin = 0;  // time
  int64_t end = 0;

  bool carry_only = false;          // start from zero and compute carry_out and decay_out, not the output
  bool ends_sequence = false;       // write last_state, if it is wanted
  const float* carry_in = nullptr;  // null: the sequence's initial state
  float* carry_out = nullptr;       // null: not wanted
  float* decay_out = nullptr;       // the product of all the decays; only with carry_only

  float* scratch = nullptr;                             // scratch_floats(), 64-byte aligned
  bool (*stopped)(const void* stop_context) = nullptr;  // asked between tiles; once true, the slice is left unfinished
  const void* stop_context = nullptr;
};

struct ScanKernel {
  int lanes;  // channels in a lane block
  size_t (*scratch_floats)(const SelectiveScanParams& params, int64_t lane_blocks);
  void (*run)(const ScanSlice& slice);
};

// One for each vector set; those not of the target's architecture are not built.
const ScanKernel& selective_scan_avx512();
const ScanKernel& selective_scan_avx2();
const ScanKernel& selective_scan_neon();
const ScanKernel& selective_scan_portable();

}  // namespace selective_scan
