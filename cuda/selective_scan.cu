// The op: a plan, the memory it needs, and the launches.
#include "selective_scan.cuh"

#include <algorithm>

#include "host_integers.cuh"
#include "queue.cuh"
#include "selective_scan_launch.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

cudaError_t launch(const ScanArgs& args, const ScanPlan& plan, unsigned blocks, cudaStream_t stream) {
  switch (args.params.dtype) {
    case DType::kFloat32:
      return launch_scan<float>(args, plan, blocks, stream);
    case DType::kFloat16:
      return launch_scan<__half>(args, plan, blocks, stream);
    case DType::kBFloat16:
      return launch_scan<__nv_bfloat16>(args, plan, blocks, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

// The blocks of a scan in one launch, or in several where there are more than a grid holds.
cudaError_t launch_all(ScanArgs args, const ScanPlan& plan, cudaStream_t stream) {
  constexpr int64_t kMostBlocks = (int64_t{1} << 31) - 1;
  const int64_t blocks = scan_blocks(args.params, plan);
  for (int64_t done = 0; done < blocks; done += kMostBlocks) {
    args.first_block = done;
    const cudaError_t error = launch(args, plan, static_cast<unsigned>(std::min(blocks - done, kMostBlocks)), stream);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace

Status selective_scan(const Call& call, const SelectiveScanParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  if (params.sequences == 0) return {};

  const ScanPlan plan = plan_scan(params);
  ScanArgs args;
  args.params = params;
  void* offsets = nullptr;
  void* parked = nullptr;

  if (params.cu_seqlens != nullptr) {
    status = allocate(&queue, (params.sequences + 1) * sizeof(int32_t), &offsets);
    if (status.ok()) {
      args.cu_seqlens = static_cast<const int32_t*>(offsets);
      status =
          check(queue.device,
                send_integers(params.cu_seqlens, params.sequences + 1, static_cast<int32_t*>(offsets), queue.stream),
                "launching a copy of cu_seqlens");
    }
  }
  if (status.ok() && params.dstate > plan.capacity) {
    args.parked = static_cast<float*>(params.last_state);
    if (args.parked == nullptr) {
      const int64_t states = params.sequences * params.dim * params.dstate;
      status = allocate(&queue, states * (params.is_complex ? 2 : 1) * sizeof(float), &parked);
      args.parked = static_cast<float*>(parked);
    }
  }
  if (status.ok()) {
    status = check(queue.device, launch_all(args, plan, queue.stream), "launching selective_scan");
  }
  release(&queue, parked);
  release(&queue, offsets);
  return status;
}

}  // namespace selective_scan
