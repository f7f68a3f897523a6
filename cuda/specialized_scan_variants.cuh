// Defines launch_specialized_scan for the element type whose file includes this.
#pragma once

#include "dynamic_memory.cuh"
#include "selective_scan_launch.cuh"
#include "specialized_scan.cuh"

namespace selective_scan {

template <typename Config>
cudaError_t launch_specialized(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (plan.capacity != Config::kCapacity || plan.warp_channels != Config::kWarpChannels ||
      plan.warps != Config::kWalkers) {
    return cudaErrorInvalidValue;
  }
  const cudaError_t error = allow_dynamic_memory<specialized_scan_kernel<Config>, Config::kSharedBytes>();
  if (error != cudaSuccess) return error;
  specialized_scan_kernel<Config><<<blocks, Config::kThreads, Config::kSharedBytes, stream>>>(args);
  return cudaGetLastError();
}

template <typename Element, Layout layout>
cudaError_t launch_specialized_layout(const ScanArgs& args, const ScanPlan& plan, unsigned blocks,
                                      cudaStream_t stream) {
  switch (plan.variant) {
    case ScanVariant::kSpecialized16x1:
      return launch_specialized<SpecializedConfig<Element, layout, ScanVariant::kSpecialized16x1>>(args, plan, blocks,
                                                                                                   stream);
    case ScanVariant::kSpecialized8x2:
      return launch_specialized<SpecializedConfig<Element, layout, ScanVariant::kSpecialized8x2>>(args, plan, blocks,
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
