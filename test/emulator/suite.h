// Runs the variants of a kernel on random problems.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <vector>

#include "kernel_variant.h"

namespace emulator {

// The main function of a kernel's test. Arguments: seed, cases of each variant, and, to run that one only, a variant's
// number and a case's. Prints how many cases were right, or what was wrong and how to have it again, and then fails.
int run_suite(const std::vector<KernelVariant>& variants, int argc, char** argv);

// The same for what Family::add<Element, layout>(dtype, variants) adds of each element type and layout.
template <typename Family>
int run_family(int argc, char** argv) {
  using selective_scan::DType;
  using selective_scan::Layout;
  std::vector<KernelVariant> variants;
  Family::template add<__nv_bfloat16, Layout::kBDL>(DType::kBFloat16, variants);
  Family::template add<__nv_bfloat16, Layout::kBLD>(DType::kBFloat16, variants);
  Family::template add<__half, Layout::kBDL>(DType::kFloat16, variants);
  Family::template add<__half, Layout::kBLD>(DType::kFloat16, variants);
  Family::template add<float, Layout::kBDL>(DType::kFloat32, variants);
  Family::template add<float, Layout::kBLD>(DType::kFloat32, variants);
  return run_suite(variants, argc, argv);
}

}  // namespace emulator
