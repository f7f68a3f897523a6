// The op: the ids, and the launch.
#include "embedding.cuh"

#include <cstdint>

#include "embedding_kernel.cuh"
#include "queue.cuh"
#include "scratch.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

template <typename From, typename To, int kVector>
cudaError_t launch_vectors(const EmbeddingArgs& args, const CudaQueue& queue) {
  // No result that fits a GPU has more blocks than a grid.
  const int64_t threads = args.rows * (args.dim / kVector);
  const dim3 grid(static_cast<unsigned>((threads + kEmbeddingThreads - 1) / kEmbeddingThreads));
  return launch_early(look_up<From, To, kVector>, grid, kEmbeddingThreads, queue, args);
}

template <typename From, typename To>
cudaError_t launch_types(const EmbeddingArgs& args, const CudaQueue& queue) {
  return args.dim % kEmbeddingVector == 0 ? launch_vectors<From, To, kEmbeddingVector>(args, queue)
                                          : launch_vectors<From, To, 1>(args, queue);
}

template <typename From>
cudaError_t launch_from(const EmbeddingArgs& args, DType to, const CudaQueue& queue) {
  switch (to) {
    case DType::kFloat32:
      return launch_types<From, float>(args, queue);
    case DType::kFloat16:
      return launch_types<From, __half>(args, queue);
    case DType::kBFloat16:
      return launch_types<From, __nv_bfloat16>(args, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t launch(const EmbeddingArgs& args, DType from, DType to, const CudaQueue& queue) {
  switch (from) {
    case DType::kFloat32:
      return launch_from<float>(args, to, queue);
    case DType::kFloat16:
      return launch_from<__half>(args, to, queue);
    case DType::kBFloat16:
      return launch_from<__nv_bfloat16>(args, to, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

Status embedding(const Call& call, const EmbeddingParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok()) return status;
  EmbeddingArgs args;
  args.ids = params.device_ids;
  args.weight = params.weight;
  args.out = params.out;
  args.rows = params.rows;
  args.vocab = params.vocab;
  args.dim = params.dim;
  Scratch scratch(&queue);
  if (params.host_ids != nullptr) {
    status = scratch.take_copy(params.host_ids, params.rows, "launching a copy of the ids", &args.ids);
    if (!status.ok()) return status;
  }
  return check(queue.device, launch(args, params.weight_dtype, params.dtype, queue), "launching embedding");
}

}  // namespace selective_scan
