// The segment-parallel scan of one element type. Each element type instantiates this in a file of its own.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "selective_scan_segments_args.cuh"

namespace selective_scan {

// Enqueues `blocks` blocks from args.first_block on; args.stages is found from the shared memory a block may have.
template <typename Element>
cudaError_t launch_segments(SegmentsArgs args, unsigned blocks, int shared_bytes, cudaStream_t stream);

}  // namespace selective_scan
