// Integers of the host that a kernel reads.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace selective_scan {

// Host memory to the device as kernel parameters: read before this returns, without waiting for the queue, and a part
// of the graph if the stream is being captured. A copy from pageable memory is none of these.
cudaError_t send_integers(const int32_t* source, int64_t count, int32_t* target, cudaStream_t stream);

}  // namespace selective_scan
