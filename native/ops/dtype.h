#pragma once

#include <cstdint>

namespace selective_scan {

enum class DType : int32_t { kFloat32 = 0, kFloat16 = 1, kBFloat16 = 2, kComplex64 = 3, kInt32 = 4 };

// 'bdl' is [batch, dim, seqlen], 'bld' is [batch, seqlen, dim].
enum class Layout : int32_t { kBDL = 0, kBLD = 1 };

}  // namespace selective_scan
