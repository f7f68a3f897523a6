// Says of a scan what its plan chooses.
#include "selective_scan_describe.cuh"

#include "selective_scan_plan.h"

namespace selective_scan {
namespace {

std::string counted(int64_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

std::string describe_plan(const ScanPlan& plan) {
  const int lanes = 32 / plan.warp_channels;
  switch (plan.variant) {
    case ScanVariant::kSpecialized64:
    case ScanVariant::kSpecialized32:
      return counted(lanes, "walking lane") + " of " + counted(plan.capacity / lanes, "state") + " a channel, " +
             counted(plan.warps, "walker") + " a block";
    case ScanVariant::kReal32:
      return "passes of " + std::to_string(plan.capacity) + " states";
    case ScanVariant::kComplex16:
      return "passes of " + std::to_string(plan.capacity) + " complex states";
    default:
      return counted(lanes, "lane") + " of " + counted(plan.capacity / lanes, "state") + " a channel, " +
             counted(plan.warps, "warp") + " a block";
  }
}

}  // namespace

Status describe_scan(const SelectiveScanParams& params, std::string* words) {
  const int64_t steps = scan_chunk_steps(params);
  *words = describe_plan(plan_scan(params)) +
           (steps > 0 ? ", twice over chunks of " + std::to_string(steps) + " steps" : "");
  return {};
}

}  // namespace selective_scan
