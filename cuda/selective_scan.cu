// The op: a plan, the memory it needs, and the launches.
#include "selective_scan.cuh"

#include <algorithm>
#include <new>
#include <vector>

#include "queue.cuh"
#include "scratch.cuh"
#include "selective_scan_chunks.cuh"
#include "selective_scan_launch.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

constexpr const char* kCopyOfStarts = "launching a copy of cu_seqlens";

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

int64_t state_floats(const SelectiveScanParams& params) {
  return params.sequences * params.dim * params.dstate * (params.is_complex ? 2 : 1);
}

// One pass over all pieces.
Status scan_pieces(CudaQueue* queue, ScanArgs args) {
  const ScanPlan plan = plan_scan(args.params, queue->shape);
  Scratch scratch(queue);
  if (args.params.dstate > plan.capacity) {
    args.parked = static_cast<float*>(args.params.last_state);
    if (args.parked == nullptr) {
      const Status status = scratch.take(state_floats(args.params), &args.parked);
      if (!status.ok()) return status;
    }
  }
  return check(queue->device, launch_all(args, plan, queue->stream), "launching selective_scan");
}

// The pieces of a packed batch whose sequences are cut every `steps` steps. An empty sequence is one empty piece.
struct PackedPieces {
  std::vector<int32_t> starts;  // and the end of the last
  std::vector<int32_t> first;   // of each sequence, and the number of pieces

  PackedPieces(const SelectiveScanParams& params, int64_t steps) {
    for (int64_t s = 0; s < params.sequences; ++s) {
      first.push_back(static_cast<int32_t>(starts.size()));
      int64_t start = params.cu_seqlens[s];
      do {
        starts.push_back(static_cast<int32_t>(start));
        start += steps;
      } while (start < params.cu_seqlens[s + 1]);
    }
    first.push_back(static_cast<int32_t>(starts.size()));
    starts.push_back(params.cu_seqlens[params.sequences]);
  }
};

Status scan_in_chunks(CudaQueue* queue, const SelectiveScanParams& params, int64_t steps) {
  Scratch scratch(queue);
  Carries carries;
  ScanArgs args;
  args.params = params;
  args.chunk_steps = steps;
  Status status;
  if (params.cu_seqlens != nullptr) {
    const PackedPieces pieces(params, steps);
    args.params.sequences = static_cast<int64_t>(pieces.starts.size()) - 1;
    args.params.cu_seqlens = nullptr;  // of the whole sequences
    status = scratch.take_copy(pieces.starts.data(), pieces.starts.size(), kCopyOfStarts, &args.cu_seqlens);
    if (!status.ok()) return status;
    status = scratch.take_copy(pieces.first.data(), pieces.first.size(), kCopyOfStarts, &carries.first_pieces);
  } else {
    args.chunks = (params.seqlen + steps - 1) / steps;
    args.params.sequences = params.batch * args.chunks;
  }
  if (status.ok()) status = scratch.take(state_floats(args.params), &carries.states);
  if (status.ok()) status = scratch.take(args.params.sequences * params.dim, &carries.sums);
  if (!status.ok()) return status;

  // The outputs of the first pass mean nothing, so it does without what only they need.
  ScanArgs from_zero = args;
  from_zero.params.D = nullptr;
  from_zero.params.z = nullptr;
  from_zero.params.initial_state = nullptr;
  from_zero.params.last_state = carries.states;
  status = scan_pieces(queue, from_zero);
  if (!status.ok()) return status;
  status = check(queue->device, sum_steps(args, carries.sums, queue->stream), "launching the sums of a scan");
  if (!status.ok()) return status;
  status = check(queue->device, carry_states(params, args, carries, queue->stream), "launching the carries of a scan");
  if (!status.ok()) return status;
  args.params.initial_state = carries.states;
  args.params.last_state = nullptr;
  return scan_pieces(queue, args);
}

Status scan_sequences(CudaQueue* queue, const SelectiveScanParams& params) {
  Scratch scratch(queue);
  ScanArgs args;
  args.params = params;
  args.chunk_steps = params.seqlen;
  if (params.cu_seqlens != nullptr) {
    const Status status = scratch.take_copy(params.cu_seqlens, params.sequences + 1, kCopyOfStarts, &args.cu_seqlens);
    if (!status.ok()) return status;
  }
  return scan_pieces(queue, args);
}

}  // namespace

Status selective_scan(const Call& call, const SelectiveScanParams& params) {
  auto* queue = static_cast<CudaQueue*>(call.queue);
  const Status status = enter_device(queue->device);
  if (!status.ok() || params.sequences == 0) return status;
  try {
    const int64_t steps = scan_chunk_steps(params);
    return steps > 0 ? scan_in_chunks(queue, params, steps) : scan_sequences(queue, params);
  } catch (const std::bad_alloc&) {
    return {Code::kOutOfMemory, "Could not allocate the plan of a scan on the host."};
  }
}

}  // namespace selective_scan
