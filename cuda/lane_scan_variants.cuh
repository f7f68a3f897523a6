// Defines launch_lane_scan for the element type whose file includes this.
#pragma once

#include "dynamic_memory.cuh"
#include "lane_scan.cuh"
#include "selective_scan_launch.cuh"

namespace selective_scan {

template <typename Config>
cudaError_t launch_lanes(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (plan.capacity != Config::kCapacity || plan.warp_channels != Config::kWarpChannels) return cudaErrorInvalidValue;
  const cudaError_t error =
      allow_dynamic_memory<lane_scan_kernel<Config>, Config::kMemory.block_bytes(Config::kMostWarps)>();
  if (error != cudaSuccess) return error;
  lane_scan_kernel<Config><<<blocks, plan.warps * 32, Config::kMemory.block_bytes(plan.warps), stream>>>(args);
  return cudaGetLastError();
}

template <typename Element, Layout layout>
cudaError_t launch_varying(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  switch (plan.variant) {
    case ScanVariant::kLane8:
      return launch_lanes<LaneConfig<Element, layout, 8, 1, false>>(args, plan, blocks, stream);
    case ScanVariant::kLane16:
      return launch_lanes<LaneConfig<Element, layout, 16, 1, false>>(args, plan, blocks, stream);
    case ScanVariant::kLanes2x8:
      return launch_lanes<LaneConfig<Element, layout, 8, 2, false>>(args, plan, blocks, stream);
    case ScanVariant::kLanes4x4:
      return launch_lanes<LaneConfig<Element, layout, 4, 4, false>>(args, plan, blocks, stream);
    case ScanVariant::kLanes2x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 2, false>>(args, plan, blocks, stream);
    case ScanVariant::kLanes4x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 4, false>>(args, plan, blocks, stream);
    case ScanVariant::kLanes8x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 8, false>>(args, plan, blocks, stream);
    case ScanVariant::kLanes16x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 16, false>>(args, plan, blocks, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

template <typename Element, Layout layout>
cudaError_t launch_constant(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  switch (plan.variant) {
    case ScanVariant::kLanes2x8:
      return launch_lanes<LaneConfig<Element, layout, 8, 2, true>>(args, plan, blocks, stream);
    case ScanVariant::kLanes4x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 4, true>>(args, plan, blocks, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

template <typename Element, Layout layout>
cudaError_t launch_layout(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  const bool varying = args.params.varying_b && args.params.varying_c;
  return varying ? launch_varying<Element, layout>(args, plan, blocks, stream)
                 : launch_constant<Element, layout>(args, plan, blocks, stream);
}

template <typename Element>
cudaError_t launch_lane_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (args.params.layout == Layout::kBDL) return launch_layout<Element, Layout::kBDL>(args, plan, blocks, stream);
  return launch_layout<Element, Layout::kBLD>(args, plan, blocks, stream);
}

}  // namespace selective_scan
