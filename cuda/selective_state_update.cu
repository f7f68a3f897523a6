// The op: the memory it needs, and the launch of the kernel that fits.
#include "selective_state_update.cuh"

#include <algorithm>
#include <cstdint>

#include "queue.cuh"
#include "scratch.cuh"
#include "selective_state_update_kernel.cuh"
#include "selective_state_update_token.cuh"
#include "status.cuh"

namespace selective_scan {
namespace {

// Threads that keep a GPU's memory busy: below them, more threads are worth more than rows that share A.
constexpr int64_t kEnoughThreads = 64 * 1024;
constexpr int64_t kMostGridRows = 65535;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool holds_whole_channels(const SelectiveStateUpdateParams& params) {
  return params.dstate % kUpdateVector == 0 && params.dstate <= 32 * kUpdateVector;
}

// The rows that a thread of the kernel for one token works on, or 0 where that kernel does not fit.
int64_t token_rows(const UpdateArgs& args) {
  const SelectiveStateUpdateParams& p = args.params;
  if (p.tokens != 1 || p.states != nullptr || !holds_whole_channels(p)) return 0;
  constexpr int64_t kMostOffset = int64_t{1} << 31;
  if (args.row_states > kMostOffset || p.batch > kMostOffset / std::max(p.dim, args.step_matrices)) return 0;
  const int64_t threads = divide_up(p.batch, kMostRows) * (p.dim << args.lane_bits);
  const int64_t rows = threads >= kEnoughThreads || p.batch > kMostGridRows ? kMostRows : 1;
  return divide_up(p.batch, rows) <= kMostGridRows ? rows : 0;
}

TokenArgs token_args(const UpdateArgs& args) {
  const SelectiveStateUpdateParams& p = args.params;
  TokenArgs token;
  token.state = p.state;
  token.u = p.u;
  token.delta = p.delta;
  token.z = p.z == nullptr ? p.u : p.z;
  token.A = p.A;
  token.B = p.B;
  token.C = p.C;
  token.D = p.D;
  token.delta_bias = p.delta_bias;
  token.out = p.out;
  token.slots = args.slots;
  token.slots_end = args.slots_end;
  token.batch = static_cast<uint32_t>(p.batch);
  token.dim = static_cast<uint32_t>(p.dim);
  token.dstate = static_cast<uint32_t>(p.dstate);
  token.row_states = static_cast<uint32_t>(args.row_states);
  token.step_matrices = static_cast<uint32_t>(args.step_matrices);
  token.channels_per_group = args.channels_per_group;
  token.lane_bits = args.lane_bits;
  token.has_z = p.z != nullptr;
  token.delta_softplus = p.delta_softplus;
  return token;
}

template <typename Element, typename State, int kRows>
cudaError_t launch_token(const TokenArgs& args, const CudaQueue& queue) {
  const dim3 grid(static_cast<unsigned>(divide_up(args.dim, kTokenThreads >> args.lane_bits)),
                  static_cast<unsigned>(divide_up(args.batch, kRows)));
  return launch_early(update_token<Element, State, kRows>, grid, kTokenThreads, queue, args);
}

template <typename Element, typename State, int kRows, bool kWhole>
cudaError_t launch_rows(const UpdateArgs& args, const CudaQueue& queue) {
  const SelectiveStateUpdateParams& p = args.params;
  const int64_t blocks = divide_up(p.dim << args.lane_bits, kUpdateThreads);
  if (blocks > (int64_t{1} << 31) - 1 || (p.groups > 1 && p.dim > UINT32_MAX)) return cudaErrorInvalidConfiguration;
  const dim3 grid(static_cast<unsigned>(blocks),
                  static_cast<unsigned>(std::min(divide_up(p.batch, kRows), kMostGridRows)));
  update_states<Element, State, kRows, kWhole><<<grid, kUpdateThreads, 0, queue.stream>>>(args);
  return cudaGetLastError();
}

template <typename Element, typename State>
cudaError_t launch_types(const UpdateArgs& args, const CudaQueue& queue) {
  const SelectiveStateUpdateParams& p = args.params;
  if (const int64_t rows = token_rows(args); rows > 0) {
    return rows > 1 ? launch_token<Element, State, kMostRows>(token_args(args), queue)
                    : launch_token<Element, State, 1>(token_args(args), queue);
  }
  return holds_whole_channels(p) ? launch_rows<Element, State, kMostRows, true>(args, queue)
                                 : launch_rows<Element, State, 1, false>(args, queue);
}

template <typename Element>
cudaError_t launch_element(const UpdateArgs& args, const CudaQueue& queue) {
  switch (args.params.state_dtype) {
    case DType::kFloat32:
      return launch_types<Element, float>(args, queue);
    case DType::kFloat16:
      return launch_types<Element, __half>(args, queue);
    case DType::kBFloat16:
      return launch_types<Element, __nv_bfloat16>(args, queue);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t launch(const UpdateArgs& args, const CudaQueue& queue) {
  switch (args.params.dtype) {
    case DType::kFloat32:
      return launch_element<float>(args, queue);
    case DType::kFloat16:
      return launch_element<__half>(args, queue);
    case DType::kBFloat16:
      return launch_element<__nv_bfloat16>(args, queue);
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
  while (args.lane_bits < 5 && int64_t{kUpdateVector} << args.lane_bits < params.dstate) ++args.lane_bits;
  args.channels_per_group = static_cast<uint32_t>(params.dim / params.groups);
  args.row_states = params.dim * params.dstate;
  args.step_matrices = params.groups * params.dstate;
  Scratch scratch(&queue);

  if (params.host_slots != nullptr) {
    status = scratch.take_copy(params.host_slots, params.batch, "launching a copy of the slots", &args.slots);
  }
  if (status.ok() && params.tokens > 1 && !holds_whole_channels(params)) {
    status = scratch.take(params.batch * params.dim * params.dstate, &args.parked);
  }
  if (!status.ok()) return status;
  return check(queue.device, launch(args, queue), "launching selective_state_update");
}

}  // namespace selective_scan
