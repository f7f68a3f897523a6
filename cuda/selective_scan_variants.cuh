// Defines launch_scan for the element type whose file includes this.
#pragma once

#include "selective_scan_kernel.cuh"
#include "selective_scan_launch.cuh"

namespace selective_scan {

template <typename Config>
cudaError_t launch_variant(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (plan.capacity != Config::kCapacity || plan.warp_channels != Config::kWarpChannels) return cudaErrorInvalidValue;
  const auto shared_bytes = static_cast<unsigned>(SharedLayout<Config>::bytes(args.params, plan.warps));
  selective_scan_kernel<Config><<<blocks, plan.warps * 32, shared_bytes, stream>>>(args);
  return cudaGetLastError();
}

template <typename Element>
cudaError_t launch_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  switch (plan.variant) {
    case ScanVariant::kReal32:
      return launch_variant<ScanConfig<Element, false, 8, 4>>(args, plan, blocks, stream);
    case ScanVariant::kComplex16:
      return launch_variant<ScanConfig<Element, true, 4, 4>>(args, plan, blocks, stream);
    case ScanVariant::kSpecialized64:
    case ScanVariant::kSpecialized32:
      return launch_specialized_scan<Element>(args, plan, blocks, stream);
    default:
      return launch_lane_scan<Element>(args, plan, blocks, stream);
  }
}

}  // namespace selective_scan
