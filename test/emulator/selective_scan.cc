// All variants of the channel-parallel scan.
#include "cuda_names.h"

#include "../../cuda/selective_scan_kernel.cuh"
#include "suite.h"

namespace {

using emulator::KernelVariant;
using selective_scan::DType;
using selective_scan::Layout;

template <typename Element, bool complex, int states, int lanes>
KernelVariant variant(DType dtype, Layout layout) {
  using Config = selective_scan::ScanConfig<Element, complex, states, lanes>;
  KernelVariant result;
  result.name = emulator::name_of(dtype, layout, lanes, states) + (complex ? ", complex" : "");
  result.dtype = dtype;
  result.layout = layout;
  result.is_complex = complex;
  result.constant = true;
  result.any_dstate = true;
  result.capacity = Config::kCapacity;
  result.warp_channels = Config::kWarpChannels;
  result.tile = Config::kTile;
  result.most_warps = selective_scan::kMostWarps;
  result.shared_bytes = selective_scan::SharedLayout<Config>::bytes;
  result.kernel = [](const auto& args, int) { selective_scan::selective_scan_kernel<Config>(args); };
  return result;
}

struct SelectiveScans {
  template <typename Element, Layout layout>
  static void add(DType dtype, std::vector<KernelVariant>& variants) {
    variants.push_back(variant<Element, false, 8, 4>(dtype, layout));
    variants.push_back(variant<Element, true, 4, 4>(dtype, layout));
  }
};

}  // namespace

int main(int argc, char** argv) { return emulator::run_family<SelectiveScans>(argc, argv); }
