// Which vector instructions the ops use: the best this machine has, or what SELECTIVE_SCAN_VECTOR_SET asks for.
#pragma once

#include "../ops.h"

namespace selective_scan {

enum class VectorSet { kAvx512, kAvx2, kNeon, kPortable };

const char* vector_set_name(VectorSet set);

// Settled at the first call. The status says what is wrong with SELECTIVE_SCAN_VECTOR_SET.
Status choose_vector_set(VectorSet* set);

// name_avx512() and so on: the kernel for a vector set, of those that are built for this target.
#if defined(__x86_64__) || defined(_M_X64)
#define SELECTIVE_SCAN_KERNEL(name, set) \
  ((set) == VectorSet::kAvx512 ? name##_avx512() : (set) == VectorSet::kAvx2 ? name##_avx2() : name##_portable())
#elif defined(__aarch64__) || defined(_M_ARM64)
#define SELECTIVE_SCAN_KERNEL(name, set) ((set) == VectorSet::kNeon ? name##_neon() : name##_portable())
#else
#define SELECTIVE_SCAN_KERNEL(name, set) (static_cast<void>(set), name##_portable())
#endif

}  // namespace selective_scan
