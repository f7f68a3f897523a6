// Deals the features of a result out to the outputs of a layer.
#pragma once

#include "../native/ops.h"
#include "queue.cuh"

namespace selective_scan {

// Where the outputs' features are, of the out dtype.
struct DealtFeatures {
  const void* from[LinearParams::kMaxOutputs];  // those of each output in the first row
  int64_t pitch;                                // elements from a row to the next
};

// Enqueues the copies.
Status deal_features(const LinearParams& params, const DealtFeatures& features, const CudaQueue& queue);

}  // namespace selective_scan
