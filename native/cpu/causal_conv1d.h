#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_causal_conv1d(const Call& call, const CausalConv1dParams& params);

// The same, with the states of sequence s in row slots[s] of the initial and the final states, or in row s where slots
// is null. A sequence whose slot is -1 gives 0 and leaves no state. Initial and final states may be the same memory.
Status convolve_on_cpu(const Call& call, const CausalConv1dParams& params, const int32_t* slots);

}  // namespace selective_scan
