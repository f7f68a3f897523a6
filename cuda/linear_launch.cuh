// The launch of a planned kernel of a linear layer.
#pragma once

#include "../native/ops.h"
#include "linear_plan.h"
#include "queue.cuh"

namespace selective_scan {

// Of any path but the library's.
Status launch_linear(const LinearParams& params, const LinearPlan& plan, CudaQueue& queue);

// LinearFacts's.
bool is_aligned(const LinearParams& params);

}  // namespace selective_scan
