// Defines launch_segments for the element type whose file includes this.
#pragma once

#include <algorithm>

#include "selective_scan_segments_kernel.cuh"
#include "selective_scan_segments_launch.cuh"

namespace selective_scan {

template <typename Config>
cudaError_t launch_segments_variant(SegmentsArgs args, unsigned blocks, int shared_bytes, cudaStream_t stream) {
  // As many warps as shared memory allows, with a tile for each chunk that they can be in, if possible one more, and at
  // least one less.
  constexpr int kStaticBytes = 512;  // at most, see BlockState
  int bytes;
  args.warps = kSegmentsWarps;
  for (;; --args.warps) {
    const int chunks = (args.warps + args.quads - 1) / args.quads;
    const int least = chunks < 4 ? chunks : chunks - 1;
    args.stages = chunks + 2;
    do {
      --args.stages;
      bytes = SegmentsLayout<Config>::of(args.params, args.quads, args.warps, args.stages).bytes + kStaticBytes;
    } while (bytes > shared_bytes && args.stages > least);
    if (bytes <= shared_bytes || args.warps == 1) break;
  }
  bytes -= kStaticBytes;
  args.ahead = std::max(1, args.warps / args.quads);
  const auto kernel = selective_scan_segments_kernel<Config>;
  const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (error != cudaSuccess) return error;
  kernel<<<blocks, 32 * args.warps, bytes, stream>>>(args);
  return cudaGetLastError();
}

template <typename Element>
cudaError_t launch_segments(SegmentsArgs args, unsigned blocks, int shared_bytes, cudaStream_t stream) {
  if (args.params.varying_b && args.params.varying_c) {
    return launch_segments_variant<SegmentsConfig<Element, false>>(args, blocks, shared_bytes, stream);
  }
  return launch_segments_variant<SegmentsConfig<Element, true>>(args, blocks, shared_bytes, stream);
}

}  // namespace selective_scan
