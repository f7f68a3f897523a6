// The op: the memory between its four kernels, how each is cut, and their launches.
#include "mamba_layer_step.cuh"

#include <algorithm>
#include <cstdint>
#include <string>

#include "dynamic_memory.cuh"
#include "host_integers.cuh"
#include "mamba_layer_step_in.cuh"
#include "mamba_layer_step_out.cuh"
#include "mamba_layer_step_scan.cuh"
#include "mamba_layer_step_select.cuh"
#include "queue.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

// Rows of a matrix that are worth a block; of x_proj more, which leaves multiprocessors to the kernels after it.
constexpr int64_t kLeastBlockRows = 2;
constexpr int64_t kLeastSelectRows = 4;
constexpr int64_t kMostGridRows = 65535;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// As `most` rows of activations as have room beside `fixed` bytes; 0 where not one has.
int rows_that_fit(int64_t shared_bytes, int64_t fixed, int64_t row_bytes, int64_t batch, int64_t most) {
  const int64_t room = (shared_bytes - fixed) / row_bytes;
  return static_cast<int>(std::max<int64_t>(0, std::min({room, batch, most})));
}

RowShares share_out(const DeviceShape& shape, int64_t rows, int64_t least) {
  RowShares shares;
  shares.blocks = static_cast<unsigned>(std::min<int64_t>(shape.multiprocessors, divide_up(rows, least)));
  shares.each = rows / shares.blocks;
  shares.larger = static_cast<unsigned>(rows % shares.blocks);
  return shares;
}

template <typename Element>
class LayerStep {
 public:
  LayerStep(const LayerStepArgs& args, const CudaQueue& queue) : args_(args), queue_(queue) {
    const MambaLayerStepParams& p = args_.params;
    const int64_t shared = queue.shape.shared_bytes;
    const int64_t ring = ring_bytes(queue.shape.capability);
    in_row_bytes_ = activation_stride(p.hidden, sizeof(Element)) + kRowSumBytes;
    dim_row_bytes_ = activation_stride(p.dim, sizeof(Element)) + kRowSumBytes;
    scan_row_bytes_ = scan_row_bytes<Element>(p.dt_rank, p.dstate);
    args_.in_rows = rows_that_fit(shared, ring, in_row_bytes_, p.batch, kProductRows);
    args_.select_rows = rows_that_fit(shared, ring, dim_row_bytes_, p.batch, kProductRows);
    args_.scan_rows =
        rows_that_fit(shared, scan_weight_bytes<Element>(p.dt_rank), scan_row_bytes_, p.batch, kMostScanRows);
    args_.out_rows = args_.select_rows;
    args_.inverse_hidden = 1.0f / static_cast<float>(p.hidden);
    args_.in_shares = share_out(queue.shape, 2 * p.dim, kLeastBlockRows);
    args_.select_shares = share_out(queue.shape, p.dt_rank + 2 * p.dstate, kLeastSelectRows);
    args_.out_shares = share_out(queue.shape, p.hidden, kLeastBlockRows);
  }

  bool fits() const {
    const int least = std::min({args_.in_rows, args_.select_rows, args_.scan_rows});
    return least > 0 && divide_up(args_.params.batch, least) <= kMostGridRows;
  }

  cudaError_t launch() const {
    const int64_t in_bytes = args_.in_rows * in_row_bytes_;
    const int64_t dim_bytes = args_.select_rows * dim_row_bytes_;
    cudaError_t error = launch_product<mamba_layer_step_in<Element>>(args_.in_shares, args_.in_rows, in_bytes);
    if (error != cudaSuccess) return error;
    error = launch_product<mamba_layer_step_select<Element>, kSelectSteps>(args_.select_shares, args_.select_rows,
                                                                           dim_bytes);
    if (error != cudaSuccess) return error;
    error = launch_scan();
    if (error != cudaSuccess) return error;
    return launch_product<mamba_layer_step_out<Element>>(args_.out_shares, args_.out_rows, dim_bytes);
  }

 private:
  template <auto kKernel, int kSteps = kMostSteps>
  cudaError_t launch_product(const RowShares& shares, int rows, int64_t activation_bytes) const {
    const dim3 grid(shares.blocks, static_cast<unsigned>(divide_up(args_.params.batch, rows)));
    const int64_t ring = ring_bytes(queue_.shape.capability, kSteps);
    return launch_kernel<kKernel>(grid, kProductThreads, ring + activation_bytes);
  }

  cudaError_t launch_scan() const {
    const MambaLayerStepParams& p = args_.params;
    const dim3 grid(static_cast<unsigned>(divide_up(p.dim, kScanChannels)),
                    static_cast<unsigned>(divide_up(p.batch, args_.scan_rows)));
    return launch_kernel<mamba_layer_step_scan<Element>>(
        grid, kScanRowThreads * args_.scan_rows,
        scan_weight_bytes<Element>(p.dt_rank) + args_.scan_rows * scan_row_bytes_);
  }

  template <auto kKernel>
  cudaError_t launch_kernel(dim3 grid, unsigned threads, int64_t shared_bytes) const {
    constexpr int kMostSharedBytes = 256 << 10;
    const cudaError_t error = allow_dynamic_memory<kKernel, kMostSharedBytes>();
    if (error != cudaSuccess) return error;
    return launch_dependent(kKernel, grid, threads, shared_bytes, queue_.shape.capability, queue_.stream, args_);
  }

  LayerStepArgs args_;
  const CudaQueue& queue_;
  int64_t in_row_bytes_;
  int64_t dim_row_bytes_;
  int64_t scan_row_bytes_;
};

template <typename Element>
Status launch(const LayerStepArgs& args, const CudaQueue& queue) {
  const LayerStep<Element> step(args, queue);
  if (!step.fits()) {
    return {Code::kUnsupported, "Expected hidden and dim that fit a multiprocessor's shared memory but received " +
                                    std::to_string(args.params.hidden) + " and " + std::to_string(args.params.dim) +
                                    "."};
  }
  return check(queue.device, step.launch(), "launching mamba_layer_step");
}

Status launch_dtype(const LayerStepArgs& args, const CudaQueue& queue) {
  switch (args.params.dtype) {
    case DType::kFloat32:
      return launch<float>(args, queue);
    case DType::kFloat16:
      return launch<__half>(args, queue);
    default:
      return launch<__nv_bfloat16>(args, queue);
  }
}

}  // namespace

Status mamba_layer_step(const Call& call, const MambaLayerStepParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok()) return status;

  LayerStepArgs args;
  args.params = params;
  args.slots = params.device_slots;
  args.slots_end = static_cast<uint32_t>(std::min(params.slots, int64_t{1} << 31));

  // One piece of memory for all that passes between the kernels, each part at an aligned address.
  const auto aligned = [](int64_t bytes) { return divide_up(bytes, 256) * 256; };
  const int64_t row_bytes = aligned(params.batch * params.dim * (params.dtype == DType::kFloat32 ? 4 : 2));
  const int64_t selected_bytes = aligned(params.batch * (params.dt_rank + 2 * params.dstate) * sizeof(float));
  const int64_t slot_bytes = params.host_slots == nullptr ? 0 : params.batch * sizeof(int32_t);
  void* scratch = nullptr;
  status = allocate(&queue, 3 * row_bytes + selected_bytes + slot_bytes, &scratch);
  if (!status.ok()) return status;
  char* const begin = static_cast<char*>(scratch);
  args.u = begin;
  args.z = begin + row_bytes;
  args.y = begin + 2 * row_bytes;
  args.selected = reinterpret_cast<float*>(begin + 3 * row_bytes);
  if (params.host_slots != nullptr) {
    auto* const slots = reinterpret_cast<int32_t*>(begin + 3 * row_bytes + selected_bytes);
    args.slots = slots;
    status = check(queue.device, send_integers(params.host_slots, params.batch, slots, queue.stream),
                   "launching a copy of the slots");
  }
  if (status.ok()) status = launch_dtype(args, queue);
  release(&queue, scratch);
  return status;
}

}  // namespace selective_scan
