// Slots of a pool of states, as they are said in the device's memory.
#pragma once

#include <cstdint>

namespace selective_scan {

// What the results are of a row without a slot: 0 where its slot is said to be -1, NaN where there is no such slot.
__device__ __forceinline__ float value_without(int32_t slot) { return slot == -1 ? 0.0f : __int_as_float(0x7fffffff); }

}  // namespace selective_scan
