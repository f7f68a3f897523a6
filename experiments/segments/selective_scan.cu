// The op: a plan, the memory it needs, and the launches.
#include "selective_scan.cuh"

#include <algorithm>

#include "queue.cuh"
#include "selective_scan_launch.cuh"
#include "selective_scan_segments_launch.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr int kIntsPerStore = 900;  // kernel parameters may take 4096 bytes

struct IntChunk {
  int32_t values[kIntsPerStore];
};

__global__ void store_ints(const __grid_constant__ IntChunk chunk, int32_t* target, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) target[i] = chunk.values[i];
}

// Host memory to the device as kernel parameters: read before this returns, without waiting for the queue, and a part
// of the graph if the stream is being captured. A copy from pageable memory is none of these.
cudaError_t send_ints(const int32_t* source, int64_t count, int32_t* target, cudaStream_t stream) {
  for (int64_t done = 0; done < count; done += kIntsPerStore) {
    const int part = static_cast<int>(std::min<int64_t>(count - done, kIntsPerStore));
    IntChunk chunk;
    std::copy_n(source + done, part, chunk.values);
    store_ints<<<1, 256, 0, stream>>>(chunk, target + done, part);
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

template <typename Launch>
cudaError_t with_element(DType dtype, Launch launch) {
  switch (dtype) {
    case DType::kFloat32:
      return launch(float{});
    case DType::kFloat16:
      return launch(__half{});
    case DType::kBFloat16:
      return launch(__nv_bfloat16{});
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t launch_all_segments(SegmentsArgs args, const SegmentsPlan& plan, int shared_bytes, cudaStream_t stream) {
  constexpr int64_t kMostBlocks = (int64_t{1} << 31) - 1;
  args.quads = plan.quads;
  const int64_t blocks = segments_blocks(args.params, plan.quads);
  for (int64_t done = 0; done < blocks; done += kMostBlocks) {
    args.first_block = done;
    const auto part = static_cast<unsigned>(std::min(blocks - done, kMostBlocks));
    const cudaError_t error = with_element(args.params.dtype, [&](auto element) {
      return launch_segments<decltype(element)>(args, part, shared_bytes, stream);
    });
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

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
      status = check(queue.device,
                     send_ints(params.cu_seqlens, params.sequences + 1, static_cast<int32_t*>(offsets), queue.stream),
                     "launching a copy of cu_seqlens");
    }
  }
  DeviceLimits limits = {1, 0};
  cudaDeviceGetAttribute(&limits.multiprocessors, cudaDevAttrMultiProcessorCount, queue.device);
  cudaDeviceGetAttribute(&limits.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, queue.device);
  const SegmentsPlan segments = plan_segments(params, limits);
  if (status.ok() && segments.use) {
    SegmentsArgs segments_args;
    segments_args.params = params;
    segments_args.cu_seqlens = args.cu_seqlens;
    status = check(queue.device, launch_all_segments(segments_args, segments, limits.shared_bytes, queue.stream),
                   "launching selective_scan");
    release(&queue, offsets);
    return status;
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
