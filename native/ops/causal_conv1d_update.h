#pragma once

#include <cstdint>

#include "dtype.h"

namespace selective_scan {

// The convolution of causal_conv1d.h one token at a time, or a few, from and into states that are updated in place: a
// row's tokens are the sequence that follows the inputs in its slot. The bits are those of causal_conv1d.
// All arrays are contiguous, in the memory of the queue's device, and any optional one may be null.
struct CausalConv1dUpdateParams {
  int64_t batch = 0;   // >= 0
  int64_t tokens = 1;  // >= 1
  int64_t dim = 0;     // >= 1
  int64_t width = 0;   // from kLeastConvWidth to kMostConvWidth
  int64_t slots = 0;   // states that there are; equal to batch if no slot is named

  DType dtype = DType::kFloat32;         // of state, x and out: float32, float16 or bfloat16
  DType weight_dtype = DType::kFloat32;  // of weight and bias: float32 or dtype
  bool silu = false;

  void* state = nullptr;         // [slots, dim, width - 1], the oldest input first; read and written
  const void* x = nullptr;       // [batch, tokens, dim]
  const void* weight = nullptr;  // [dim, width]
  const void* bias = nullptr;    // [dim]
  void* out = nullptr;           // as x

  // The slot of each row, [batch]; without either row b has slot b. A row whose slot is -1 is left out: its out is 0.
  // In HOST memory the slots are read before the call returns, each of them -1 or a slot that there is. In the device's
  // memory (of a GPU only) nobody has looked: a row of any other slot gets NaN in out, and nothing else happens. Slots
  // other than -1 have to be different from each other.
  const int32_t* host_slots = nullptr;
  const int32_t* device_slots = nullptr;
};

}  // namespace selective_scan
