// Says of a scan what selective_scan_plan.h chooses.
#include "selective_scan_describe.cuh"

#include "selective_scan_plan.h"

namespace selective_scan {

Status describe_scan(const SelectiveScanParams& params, std::string* words) {
  const ScanPlan plan = plan_scan(params);
  const int64_t steps = scan_chunk_steps(params);
  *words = (params.is_complex ? "complex, " : "") + std::to_string(plan.capacity) + " states x " +
           std::to_string(plan.warp_channels * plan.warps) + " channels a block, " +
           (steps > 0 ? "chunks of " + std::to_string(steps) + " steps" : "whole sequences");
  return {};
}

}  // namespace selective_scan
