// The element types the vector wrappers load and store, and what every wrapper needs of the compiler.
#pragma once

#include <cstdint>

// State blocks live in registers only if the loops over them are unrolled completely, whatever the optimisation level.
#if defined(SELECTIVE_SCAN_UNROLL)
#elif defined(__clang__)
#define SELECTIVE_SCAN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define SELECTIVE_SCAN_UNROLL _Pragma("GCC unroll 16")
#else
#define SELECTIVE_SCAN_UNROLL
#endif

namespace selective_scan {

struct Float16 {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

}  // namespace selective_scan
