// Says of a scan what its plan is.
#include <algorithm>
#include <new>
#include <string>

#include "cpu_info.h"
#include "selective_scan.h"
#include "selective_scan_plan.h"
#include "selective_scan_slice.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

// Rows above which no plan is made, which would take long: there are threads' work enough without cutting time.
constexpr int64_t kMostPlannedRows = int64_t{1} << 20;

std::string describe(const SelectiveScanParams& params, VectorSet set) {
  if (params.dim > kMostPlannedRows || params.sequences > kMostPlannedRows / params.dim) {
    return std::string(vector_set_name(set)) + ", many runs of channels";
  }
  const ScanPlan plan(params, SELECTIVE_SCAN_KERNEL(selective_scan, set), cpu_threads());
  int64_t chunks = 1;
  for (const PlanPart& part : plan.parts()) chunks = std::max(chunks, part.chunks_after_first + 1);
  std::string words = vector_set_name(set);
  const int64_t channels = std::min(plan.lanes() * plan.lane_blocks(), params.dim / params.groups);
  words += ", runs of " + std::to_string(channels) + " channels";
  if (chunks > 1) words += ", up to " + std::to_string(chunks) + " chunks of time";
  return words;
}

}  // namespace

Status cpu_describe_scan(const SelectiveScanParams& params, std::string* words) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  try {
    *words = describe(params, set);
    return {};
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "Could not allocate the plan of a scan on cpu."};
  }
}

}  // namespace selective_scan
