// All variants of the lane scan.
#include "cuda_names.h"

#include "../../cuda/lane_scan.cuh"
#include "suite.h"

namespace {

using emulator::KernelVariant;
using selective_scan::DType;
using selective_scan::Layout;

template <typename Element, Layout layout, int states, int lanes, bool constant = false>
KernelVariant variant(DType dtype) {
  using Config = selective_scan::LaneConfig<Element, layout, states, lanes, constant>;
  KernelVariant result;
  result.name = emulator::name_of(dtype, layout, lanes, states) + (constant ? ", constant B or C" : "");
  result.dtype = dtype;
  result.layout = layout;
  result.varying = !constant;
  result.constant = constant;
  result.capacity = Config::kCapacity;
  result.warp_channels = Config::kWarpChannels;
  result.tile = Config::kTile;
  result.most_warps = Config::kMostWarps;
  const selective_scan::DeviceShape device;
  while (Config::kMemory.block_bytes(result.most_warps) > device.shared_bytes) --result.most_warps;
  result.shared_bytes = [](const auto&, int warps) { return Config::kMemory.block_bytes(warps); };
  result.kernel = [](const auto& args, int) { selective_scan::lane_scan_kernel<Config>(args); };
  return result;
}

struct LaneScans {
  template <typename Element, Layout layout>
  static void add(DType dtype, std::vector<KernelVariant>& variants) {
    variants.push_back(variant<Element, layout, 8, 1>(dtype));
    variants.push_back(variant<Element, layout, 16, 1>(dtype));
    variants.push_back(variant<Element, layout, 8, 2>(dtype));
    variants.push_back(variant<Element, layout, 4, 4>(dtype));
    variants.push_back(variant<Element, layout, 16, 2>(dtype));
    variants.push_back(variant<Element, layout, 16, 4>(dtype));
    variants.push_back(variant<Element, layout, 16, 8>(dtype));
    variants.push_back(variant<Element, layout, 16, 16>(dtype));
    variants.push_back(variant<Element, layout, 8, 2, true>(dtype));
    variants.push_back(variant<Element, layout, 16, 4, true>(dtype));
  }
};

}  // namespace

int main(int argc, char** argv) { return emulator::run_family<LaneScans>(argc, argv); }
