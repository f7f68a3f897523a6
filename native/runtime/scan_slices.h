// How a scan of host arrays is cut: 'bdl' into batch entries and runs of channels, 'bld' into stretches of time with
// the state carried over. A pure function of the sizes.
#pragma once

#include "host_plan.h"

namespace selective_scan {

// A scan's arrays by number, in the order of src/ops/selective-scan.ts.
enum ScanArray { kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kInitialState, kOut, kLastState, kScanArrays };

SelectiveScanParams with_arrays(SelectiveScanParams params, const std::vector<void*>& at);

// Slices that move about `most_bytes` each, where a row of one channel or one step does not have more; a channel of a
// 'bdl' pack has its states in all sequences. Of the addresses
// in `params` it only matters which are null. `cu_seqlens` need not outlive the call.
HostPlan slice_scan(const SelectiveScanParams& params, size_t most_bytes);

}  // namespace selective_scan
