// Which vector instructions the ops use: the best this machine has, or what SELECTIVE_SCAN_VECTOR_SET asks for.
#pragma once

#include "../ops.h"

namespace selective_scan {

enum class VectorSet { kAvx512, kAvx2, kNeon, kPortable };

const char* vector_set_name(VectorSet set);

// Settled at the first call. The status says what is wrong with SELECTIVE_SCAN_VECTOR_SET.
Status choose_vector_set(VectorSet* set);

}  // namespace selective_scan
