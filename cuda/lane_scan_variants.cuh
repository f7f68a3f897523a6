// Defines launch_lane_scan for the element type whose file includes this.
#pragma once

#include <algorithm>
#include <atomic>

#include "lane_scan.cuh"
#include "selective_scan_launch.cuh"

namespace selective_scan {

// More shared memory than a kernel may take by default has to be asked for, once a device; as much as the device gives.
template <typename Config>
cudaError_t allow_shared_memory() {
  static std::atomic<uint64_t> allowed{0};
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  const uint64_t bit = uint64_t{1} << device % 64;
  if (error != cudaSuccess || (device < 64 && (allowed.load(std::memory_order_relaxed) & bit) != 0)) return error;
  int most = 0;
  error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error != cudaSuccess) return error;
  error = cudaFuncSetAttribute(
      lane_scan_kernel<Config>, cudaFuncAttributeMaxDynamicSharedMemorySize,
      std::min(most - static_cast<int>(kStaticSharedBytes), Config::kMemory.block_bytes(Config::kMostWarps)));
  if (error == cudaSuccess) allowed.fetch_or(bit, std::memory_order_relaxed);
  return error;
}

template <typename Config>
cudaError_t launch_lanes(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (plan.capacity != Config::kCapacity || plan.warp_channels != Config::kWarpChannels) return cudaErrorInvalidValue;
  const cudaError_t error = allow_shared_memory<Config>();
  if (error != cudaSuccess) return error;
  lane_scan_kernel<Config><<<blocks, plan.warps * 32, Config::kMemory.block_bytes(plan.warps), stream>>>(args);
  return cudaGetLastError();
}

template <typename Element, Layout layout>
cudaError_t launch_layout(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  switch (plan.variant) {
    case ScanVariant::kLane8:
      return launch_lanes<LaneConfig<Element, layout, 8, 1>>(args, plan, blocks, stream);
    case ScanVariant::kLane16:
      return launch_lanes<LaneConfig<Element, layout, 16, 1>>(args, plan, blocks, stream);
    case ScanVariant::kLanes2x8:
      return launch_lanes<LaneConfig<Element, layout, 8, 2>>(args, plan, blocks, stream);
    case ScanVariant::kLanes4x4:
      return launch_lanes<LaneConfig<Element, layout, 4, 4>>(args, plan, blocks, stream);
    case ScanVariant::kLanes2x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 2>>(args, plan, blocks, stream);
    case ScanVariant::kLanes4x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 4>>(args, plan, blocks, stream);
    case ScanVariant::kLanes8x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 8>>(args, plan, blocks, stream);
    case ScanVariant::kLanes16x16:
      return launch_lanes<LaneConfig<Element, layout, 16, 16>>(args, plan, blocks, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

template <typename Element>
cudaError_t launch_lane_scan(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  if (args.params.layout == Layout::kBDL) return launch_layout<Element, Layout::kBDL>(args, plan, blocks, stream);
  return launch_layout<Element, Layout::kBLD>(args, plan, blocks, stream);
}

}  // namespace selective_scan
