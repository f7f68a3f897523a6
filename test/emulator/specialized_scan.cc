// All variants of the specialised scan.
#include "cuda_names.h"

#include "../../cuda/specialized_scan.cuh"
#include "suite.h"

namespace {

using emulator::KernelVariant;
using selective_scan::DType;
using selective_scan::Layout;
using selective_scan::ScanVariant;

template <typename Element, Layout layout, ScanVariant scan_variant>
KernelVariant variant(DType dtype) {
  using Config = selective_scan::SpecializedConfig<Element, layout, scan_variant>;
  KernelVariant result;
  result.name = emulator::name_of(dtype, layout, Config::kLanes, Config::kStates);
  result.dtype = dtype;
  result.layout = layout;
  result.capacity = Config::kCapacity;
  result.warp_channels = Config::kWarpChannels;
  result.tile = Config::kTile;
  result.fewest_warps = result.most_warps = Config::kWalkers;
  result.other_warps = Config::kThreads / 32 - Config::kWalkers;
  result.shared_bytes = [](const auto&, int) { return Config::kSharedBytes; };
  result.kernel = selective_scan::specialized_scan_kernel<Config>;
  return result;
}

struct SpecializedScans {
  template <typename Element, Layout layout>
  static void add(DType dtype, std::vector<KernelVariant>& variants) {
    variants.push_back(variant<Element, layout, ScanVariant::kSpecialized16x1>(dtype));
    variants.push_back(variant<Element, layout, ScanVariant::kSpecialized8x2>(dtype));
  }
};

}  // namespace

int main(int argc, char** argv) { return emulator::run_family<SpecializedScans>(argc, argv); }
