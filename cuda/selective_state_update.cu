// The op: the memory it needs, and the launch of the kernel that fits.
#include "selective_state_update.cuh"

#include <algorithm>

#include "host_integers.cuh"
#include "queue.cuh"
#include "selective_state_update_kernel.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

// Threads that keep a GPU's memory busy: below them, more threads are worth more than rows that share A.
constexpr int64_t kEnoughThreads = 64 * 1024;
constexpr int64_t kMostGridRows = 65535;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool holds_whole_channels(const SelectiveStateUpdateParams& params, int64_t lanes) {
  return params.dstate % kUpdateVector == 0 && params.dstate <= lanes * kUpdateVector;
}

template <typename Element, typename State, int kRows, bool kWhole>
cudaError_t launch_rows(const UpdateArgs& args, cudaStream_t stream) {
  const SelectiveStateUpdateParams& p = args.params;
  const int64_t blocks = divide_up(p.dim, args.channels);
  if (blocks > (int64_t{1} << 31) - 1) return cudaErrorInvalidConfiguration;
  const dim3 grid(static_cast<unsigned>(blocks),
                  static_cast<unsigned>(std::min(divide_up(p.batch, kRows), kMostGridRows)));
  update_states<Element, State, kRows, kWhole><<<grid, kUpdateThreads, 0, stream>>>(args);
  return cudaGetLastError();
}

template <typename Element, typename State>
cudaError_t launch_types(const UpdateArgs& args, cudaStream_t stream) {
  const SelectiveStateUpdateParams& p = args.params;
  if (!holds_whole_channels(p, args.lanes)) return launch_rows<Element, State, 1, false>(args, stream);
  const int64_t threads = divide_up(p.batch, kMostUpdateRows) * p.dim * args.lanes;
  return threads >= kEnoughThreads ? launch_rows<Element, State, kMostUpdateRows, true>(args, stream)
                                   : launch_rows<Element, State, 1, true>(args, stream);
}

template <typename Element>
cudaError_t launch_element(const UpdateArgs& args, cudaStream_t stream) {
  switch (args.params.state_dtype) {
    case DType::kFloat32:
      return launch_types<Element, float>(args, stream);
    case DType::kFloat16:
      return launch_types<Element, __half>(args, stream);
    case DType::kBFloat16:
      return launch_types<Element, __nv_bfloat16>(args, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t launch(const UpdateArgs& args, cudaStream_t stream) {
  switch (args.params.dtype) {
    case DType::kFloat32:
      return launch_element<float>(args, stream);
    case DType::kFloat16:
      return launch_element<__half>(args, stream);
    case DType::kBFloat16:
      return launch_element<__nv_bfloat16>(args, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace

Status selective_state_update(const Call& call, const SelectiveStateUpdateParams& params) {
  auto& queue = *static_cast<CudaQueue*>(call.queue);
  Status status = enter_device(queue.device);
  if (!status.ok()) return status;

  UpdateArgs args;
  args.params = params;
  args.slots = params.device_slots;
  args.slots_end = static_cast<uint32_t>(std::min(params.slots, int64_t{1} << 31));
  while (args.lanes < 32 && args.lanes * kUpdateVector < params.dstate) args.lanes *= 2;
  args.channels = kUpdateThreads / args.lanes;
  args.channels_per_group = params.dim / params.groups;
  args.row_states = params.dim * params.dstate;
  args.step_matrices = params.groups * params.dstate;
  void* slots = nullptr;
  void* parked = nullptr;

  if (params.host_slots != nullptr) {
    status = allocate(&queue, params.batch * sizeof(int32_t), &slots);
    if (status.ok()) {
      args.slots = static_cast<const int32_t*>(slots);
      status = check(queue.device,
                     send_integers(params.host_slots, params.batch, static_cast<int32_t*>(slots), queue.stream),
                     "launching a copy of the slots");
    }
  }
  if (status.ok() && params.tokens > 1 && !holds_whole_channels(params, args.lanes)) {
    status = allocate(&queue, params.batch * params.dim * params.dstate * sizeof(float), &parked);
    args.parked = static_cast<float*>(parked);
  }
  if (status.ok()) status = check(queue.device, launch(args, queue.stream), "launching selective_state_update");
  release(&queue, parked);
  release(&queue, slots);
  return status;
}

}  // namespace selective_scan
