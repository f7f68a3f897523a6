// Defines launch_specialized_scan for the element type whose file includes this.
#pragma once

#include "dynamic_memory.cuh"
#include "selective_scan_launch.cuh"
#include "specialized_scan.cuh"

namespace selective_scan {

template <typename Config>
cudaError_t launch_specialized(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (plan.capacity != Config::kCapacity || plan.warp_channels != kWalkerChannels ||
      plan.warps > Config::kShape.most_walkers) {
    return cudaErrorInvalidValue;
  }
  constexpr SpecializedMemory kMost(Config::kLayout, Config::kShape, Config::kSize, Config::kShape.most_walkers);
  const cudaError_t error = allow_dynamic_memory<specialized_scan_kernel<Config>, kMost.block_bytes>();
  if (error != cudaSuccess) return error;
  const SpecializedMemory memory(Config::kLayout, Config::kShape, Config::kSize, plan.warps);
  const int threads = specialized_threads(Config::kShape, Config::kSize, plan.warps);
  specialized_scan_kernel<Config><<<blocks, threads, memory.block_bytes, stream>>>(args, memory);
  return cudaGetLastError();
}

template <typename Element, Layout layout>
cudaError_t launch_specialized_layout(const ScanArgs& args, const ScanPlan& plan, unsigned blocks,
                                      cudaStream_t stream) {
  switch (plan.variant) {
    case ScanVariant::kSpecialized64:
      return launch_specialized<SpecializedConfig<Element, layout, ScanVariant::kSpecialized64>>(args, plan, blocks,
                                                                                                 stream);
    case ScanVariant::kSpecialized32:
      return launch_specialized<SpecializedConfig<Element, layout, ScanVariant::kSpecialized32>>(args, plan, blocks,
                                                                                                 stream);
    default:
      return cudaErrorInvalidValue;
  }
}

template <typename Element>
cudaError_t launch_specialized_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (args.params.layout == Layout::kBDL) {
    return launch_specialized_layout<Element, Layout::kBDL>(args, plan, blocks, stream);
  }
  return launch_specialized_layout<Element, Layout::kBLD>(args, plan, blocks, stream);
}

}  // namespace selective_scan
