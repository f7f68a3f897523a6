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
  result.name =
      emulator::name_of(dtype, layout, Config::kLanes, Config::kStates) + ", tiles of " + std::to_string(Config::kTile);
  result.dtype = dtype;
  result.layout = layout;
  result.capacity = Config::kCapacity;
  result.warp_channels = selective_scan::kWalkerChannels;
  result.tile = Config::kTile;
  result.most_warps = Config::kShape.most_walkers;
  result.other_warps = [](int walkers) {
    return selective_scan::specialized_threads(Config::kShape, Config::kSize, walkers) / 32 - walkers;
  };
  const auto memory = [](int walkers) {
    return selective_scan::SpecializedMemory(layout, Config::kShape, Config::kSize, walkers);
  };
  result.shared_bytes = [memory](const auto&, int walkers) { return memory(walkers).block_bytes; };
  result.kernel = [memory](const auto& args, int walkers) {
    selective_scan::specialized_scan_kernel<Config>(args, memory(walkers));
  };
  return result;
}

struct SpecializedScans {
  template <typename Element, Layout layout>
  static void add(DType dtype, std::vector<KernelVariant>& variants) {
    variants.push_back(variant<Element, layout, ScanVariant::kSpecialized64>(dtype));
    variants.push_back(variant<Element, layout, ScanVariant::kSpecialized32>(dtype));
  }
};

}  // namespace

int main(int argc, char** argv) { return emulator::run_family<SpecializedScans>(argc, argv); }
