// The op: which kernel fits.
#include "linear.cuh"

#include "linear_launch.cuh"
#include "linear_library.cuh"
#include "linear_plan.h"
#include "queue.cuh"
#include "status.cuh"

namespace selective_scan {

Status linear(const Call& call, const LinearParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok() || params.rows == 0 || params.out_features == 0) return status;

  // cuBLASLt is looked for where it is wanted: opening it takes a while, and few rows do without.
  LinearFacts facts = {is_aligned(params), true};
  LinearPlan plan = plan_linear(params, facts, queue.shape);
  if (plan.path == LinearPath::kLibrary) {
    bool done = false;
    status = linear_library(params, queue, &done);
    if (done || !status.ok()) return status;
    facts.library = false;
    plan = plan_linear(params, facts, queue.shape);
  }
  return launch_linear(params, plan, queue);
}

}  // namespace selective_scan
