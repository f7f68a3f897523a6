#include "linear_deal.cuh"

#include <algorithm>
#include <cstdint>

#include "early_launch.cuh"
#include "linear_plan.h"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr int kThreads = 256;
constexpr int kMostLaneBits = 5;
constexpr int64_t kMostGridColumns = 65535;

// Sizes in units, which are elements or vectors of them.
struct DealArgs {
  const void* from[LinearParams::kMaxOutputs];
  void* to[LinearParams::kMaxOutputs];
  int64_t ends[LinearParams::kMaxOutputs];  // the first column past each output
  int64_t rows;
  int64_t columns;
  int64_t pitch;
  int lane_bits;  // 2^lane_bits threads of a block share a row
};

template <typename Unit>
__global__ void __launch_bounds__(kThreads) deal(const __grid_constant__ DealArgs args) {
  wait_for_earlier_kernels();
  const int64_t lanes = int64_t{1} << args.lane_bits;
  const int64_t row = (int64_t{blockIdx.x} * kThreads + threadIdx.x) >> args.lane_bits;
  if (row >= args.rows) return;
  const int64_t lane = threadIdx.x & (lanes - 1);
  for (int64_t column = blockIdx.y * lanes + lane; column < args.columns; column += gridDim.y * lanes) {
    int output = 0;
    int64_t first = 0;
    while (column >= args.ends[output]) first = args.ends[output++];
    const auto* from = static_cast<const Unit*>(args.from[output]) + row * args.pitch;
    auto* to = static_cast<Unit*>(args.to[output]) + row * (args.ends[output] - first);
    to[column - first] = from[column - first];
  }
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <typename Unit>
cudaError_t launch(const LinearParams& params, const DealtFeatures& features, const CudaQueue& queue) {
  const int64_t elements = static_cast<int64_t>(sizeof(Unit)) / element_bytes(params.out_dtype);
  DealArgs args = {};
  args.rows = params.rows;
  args.pitch = features.pitch / elements;
  for (int i = 0; i < params.outputs; ++i) {
    args.from[i] = features.from[i];
    args.to[i] = params.out[i];
    args.ends[i] = args.columns += params.sizes[i] / elements;
  }
  while (args.lane_bits < kMostLaneBits && (1 << args.lane_bits) < args.columns) ++args.lane_bits;
  // cuBLASLt takes no more rows than a grid has blocks.
  const dim3 grid(static_cast<unsigned>(divide_up(args.rows, kThreads >> args.lane_bits)),
                  static_cast<unsigned>(std::min(divide_up(args.columns, 1 << args.lane_bits), kMostGridColumns)));
  return launch_early(deal<Unit>, grid, kThreads, queue, args);
}

bool has_whole_vectors(const LinearParams& params, const DealtFeatures& features) {
  const int64_t bytes = element_bytes(params.out_dtype);
  uint64_t bits = static_cast<uint64_t>(features.pitch * bytes);
  for (int i = 0; i < params.outputs; ++i) {
    bits |= reinterpret_cast<uintptr_t>(features.from[i]) | reinterpret_cast<uintptr_t>(params.out[i]);
    bits |= static_cast<uint64_t>(params.sizes[i] * bytes);
  }
  return bits % sizeof(uint4) == 0;
}

}  // namespace

Status deal_features(const LinearParams& params, const DealtFeatures& features, const CudaQueue& queue) {
  cudaError_t error;
  if (has_whole_vectors(params, features)) {
    error = launch<uint4>(params, features, queue);
  } else if (params.out_dtype == DType::kFloat32) {
    error = launch<uint32_t>(params, features, queue);
  } else {
    error = launch<uint16_t>(params, features, queue);
  }
  return check(queue.device, error, "launching linear");
}

}  // namespace selective_scan
