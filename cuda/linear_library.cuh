// A linear layer by cuBLASLt.
#pragma once

#include "../native/ops.h"
#include "queue.cuh"

namespace selective_scan {

// Enqueues the layer, if cuBLASLt has it: `done` says whether. Where it has not, nothing was enqueued that matters: all
// outputs are still to be written.
Status linear_library(const LinearParams& params, CudaQueue& queue, bool* done);

}  // namespace selective_scan
