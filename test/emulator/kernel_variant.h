// A kernel as the test of all kernels sees it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "../../cuda/selective_scan_plan.h"
#include "cuda_names.h"
#include "../../cuda/selective_scan_args.cuh"

namespace emulator {

struct KernelVariant {
  std::string name;
  selective_scan::DType dtype;  // of u, delta, z, varying B and C, and out
  selective_scan::Layout layout;
  bool is_complex = false;  // A, B, C and the states
  bool varying = true;      // B and C may both vary with time
  bool constant = false;    // B, C or both may be constant
  bool any_dstate = false;  // dstate may be more than the capacity
  int capacity;             // states of a channel that a pass holds
  int warp_channels;        // of each warp that owns channels
  int tile;                 // steps
  int fewest_warps = 1;     // of a block, that own channels
  int most_warps;
  std::function<int(int warps)> other_warps = [](int) { return 0; };  // of a block, that own none
  std::function<int64_t(const selective_scan::SelectiveScanParams& params, int warps)> shared_bytes;
  std::function<void(const selective_scan::ScanArgs& args, int warps)> kernel;
};

inline std::string name_of(selective_scan::DType dtype, selective_scan::Layout layout, int lanes, int states) {
  using selective_scan::DType;
  const std::string element = dtype == DType::kFloat32 ? "float32" : dtype == DType::kFloat16 ? "float16" : "bfloat16";
  const std::string order = layout == selective_scan::Layout::kBDL ? " 'bdl', " : " 'bld', ";
  return element + order + std::to_string(lanes) + " lanes of " + std::to_string(states) + " states";
}

}  // namespace emulator
