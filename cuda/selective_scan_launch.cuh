// The kernel variants of one element type. Each element type instantiates this in a file of its own.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "selective_scan_args.cuh"

namespace selective_scan {

// Enqueues `blocks` blocks from args.first_block on.
template <typename Element>
cudaError_t launch_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream);
template <typename Element>
cudaError_t launch_lane_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream);
// Fails with cudaErrorInvalidConfiguration on devices that have less shared memory than the variant takes.
template <typename Element>
cudaError_t launch_specialized_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream);

}  // namespace selective_scan
