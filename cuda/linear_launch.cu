#include "linear_launch.cuh"

#include <algorithm>

#include "early_launch.cuh"
#include "linear_args.cuh"
#include "linear_tensor_rows.cuh"
#include "linear_tensor_tiles.cuh"
#include "linear_vector_rows.cuh"
#include "linear_vector_tiles.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr int64_t kMostBlocks = (int64_t{1} << 31) - 1;
constexpr int64_t kMostGridRows = 65535;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool starts_aligned(const void* memory, DType dtype, int64_t row_elements) {
  return reinterpret_cast<uintptr_t>(memory) % 16 == 0 && row_elements * element_bytes(dtype) % 16 == 0;
}

LinearArgs args_of(const LinearParams& params, const LinearPlan& plan) {
  LinearArgs args = {};
  args.params = params;
  int64_t end = 0;
  for (int i = 0; i < params.outputs; ++i) args.ends[i] = end += params.sizes[i];
  args.slice_bits = plan.slice_bits;
  args.prefetches = plan.prefetches;
  args.aligned = is_aligned(params);
  return args;
}

cudaError_t launch_rows(void (*kernel)(LinearArgs), const RowsKernel& cut, const LinearArgs& args,
                        const CudaQueue& queue) {
  const LinearParams& p = args.params;
  const int64_t blocks = blocks_of_outputs(cut, p.out_features, args.slice_bits);
  const int64_t groups = divide_up(p.rows, cut.group);
  if (blocks > kMostBlocks || groups > kMostGridRows) return cudaErrorInvalidConfiguration;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(groups));
  return launch_early(kernel, grid, 32 * kRowsWarps, queue, args);
}

template <typename Element>
cudaError_t launch_tensor_rows(const LinearArgs& args, const CudaQueue& queue) {
  return launch_rows(args.params.rows > 8 ? linear_tensor_rows<Element, true> : linear_tensor_rows<Element, false>,
                     kTensorRows, args, queue);
}

template <int kWeightBytes>
cudaError_t launch_vector_rows(const LinearArgs& args, const CudaQueue& queue) {
  constexpr int kGroup = static_cast<int>(kVectorRows.group);
  return launch_rows(
      args.params.rows == 1 ? linear_vector_rows<kWeightBytes, 1> : linear_vector_rows<kWeightBytes, kGroup>,
      kVectorRows, args, queue);
}

template <typename Element>
cudaError_t launch_tensor_tiles(const LinearArgs& args, const CudaQueue& queue) {
  const int64_t tiles = count_tiles<TensorTile::kSide>(args.params);
  if (tiles > kMostBlocks) return cudaErrorInvalidConfiguration;
  linear_tensor_tiles<Element>
      <<<static_cast<unsigned>(tiles), TensorTile::kThreads, TensorTile::kBytes, queue.stream>>>(args);
  return cudaGetLastError();
}

cudaError_t launch_vector_tiles(const LinearArgs& args, const CudaQueue& queue) {
  const int64_t tiles = count_tiles<kVectorTile>(args.params);
  if (tiles > kMostBlocks) return cudaErrorInvalidConfiguration;
  linear_vector_tiles<<<static_cast<unsigned>(tiles), kVectorTilesThreads, 0, queue.stream>>>(args);
  return cudaGetLastError();
}

__global__ void __launch_bounds__(256) widen(const void* source, DType dtype, int64_t count, float* target) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
#pragma unroll 1
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    target[i] = load_element(source, dtype, i);
  }
}

// Those kernels take x in float32.
Status launch_vector_rows_widened(LinearParams params, const LinearPlan& plan, CudaQueue& queue) {
  void* wide = nullptr;
  Status status;
  const int64_t count = params.rows * params.in_features;
  if (params.dtype != DType::kFloat32 && count > 0) {
    status = allocate(&queue, count * sizeof(float), &wide);
    if (!status.ok()) return status;
    const auto blocks = static_cast<unsigned>(std::min<int64_t>(divide_up(count, 256), 1024));
    widen<<<blocks, 256, 0, queue.stream>>>(params.x, params.dtype, count, static_cast<float*>(wide));
    status = check(queue.device, cudaGetLastError(), "launching linear");
    params.x = wide;
    params.dtype = DType::kFloat32;
  }
  if (status.ok()) {
    const LinearArgs args = args_of(params, plan);
    const bool is_wide = params.weight_dtype == DType::kFloat32;
    status = check(queue.device, is_wide ? launch_vector_rows<4>(args, queue) : launch_vector_rows<2>(args, queue),
                   "launching linear");
  }
  release(&queue, wide);
  return status;
}

cudaError_t launch(LinearPath path, const LinearArgs& args, const CudaQueue& queue) {
  const bool is_half = args.params.dtype == DType::kFloat16;
  switch (path) {
    case LinearPath::kTensorRows:
      return is_half ? launch_tensor_rows<__half>(args, queue) : launch_tensor_rows<__nv_bfloat16>(args, queue);
    case LinearPath::kTensorTiles:
      return is_half ? launch_tensor_tiles<__half>(args, queue) : launch_tensor_tiles<__nv_bfloat16>(args, queue);
    case LinearPath::kVectorTiles:
      return launch_vector_tiles(args, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

bool is_aligned(const LinearParams& params) {
  return starts_aligned(params.x, params.dtype, params.in_features) &&
         starts_aligned(params.weight, params.weight_dtype, params.in_features);
}

Status launch_linear(const LinearParams& params, const LinearPlan& plan, CudaQueue& queue) {
  if (plan.path == LinearPath::kVectorRows) return launch_vector_rows_widened(params, plan, queue);
  return check(queue.device, launch(plan.path, args_of(params, plan), queue), "launching linear");
}

}  // namespace selective_scan
