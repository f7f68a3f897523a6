#include "selective_scan_chunks.cuh"

#include <algorithm>

#include "scan_math.cuh"

namespace selective_scan {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kMostBlocks = 1 << 20;  // more work is walked in strides

unsigned grid_of(int64_t threads) {
  return static_cast<unsigned>(std::min((threads + kThreads - 1) / kThreads, kMostBlocks));
}

__device__ __forceinline__ float step_of(float delta, float bias, bool delta_softplus) {
  float dt = delta + bias;
  if (delta_softplus) softplus<1, true>(&dt);
  return dt;
}

// 'bdl': a warp sums a row, whose steps are adjacent. 'bld': a thread does, beside its neighbours' channels.
template <typename Element, Layout kLayout>
__global__ void __launch_bounds__(kThreads) sum_steps_kernel(const __grid_constant__ ScanArgs args, float* sums) {
  constexpr int kLanes = kLayout == Layout::kBDL ? 32 : 1;
  const SelectiveScanParams& p = args.params;
  const auto* delta = static_cast<const Element*>(p.delta);
  const int64_t rows = p.sequences * p.dim;
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads / kLanes;
  const int lane = threadIdx.x % kLanes;
  for (int64_t row = first; row < rows; row += stride) {
    const int64_t channel = row % p.dim;
    const PieceSpan span = span_of(args, row / p.dim);
    const float bias = p.delta_bias != nullptr ? p.delta_bias[channel] : 0.0f;
    const int64_t pitch = kLayout == Layout::kBDL ? 1 : p.dim;
    const Element* steps = delta + (kLayout == Layout::kBDL ? (span.batch * p.dim + channel) * p.seqlen + span.start
                                                            : (span.batch * p.seqlen + span.start) * p.dim + channel);
    // Compensated (Kahan): a piece may have tens of thousands of steps, and the decay over it is exp(A * sum).
    float sum = 0.0f;
    float lost = 0.0f;
    for (int64_t t = lane; t < span.length; t += kLanes) {
      const float dt = step_of(static_cast<float>(steps[t * pitch]), bias, p.delta_softplus) - lost;
      const float next = sum + dt;
      lost = (next - sum) - dt;
      sum = next;
    }
#pragma unroll
    for (int mask = kLanes / 2; mask > 0; mask /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
    if (lane == 0) sums[row] = sum;
  }
}

template <typename Element>
void launch_sums(const ScanArgs& args, float* sums, cudaStream_t stream) {
  const int64_t rows = args.params.sequences * args.params.dim;
  if (args.params.layout == Layout::kBDL) {
    sum_steps_kernel<Element, Layout::kBDL><<<grid_of(rows * 32), kThreads, 0, stream>>>(args, sums);
  } else {
    sum_steps_kernel<Element, Layout::kBLD><<<grid_of(rows), kThreads, 0, stream>>>(args, sums);
  }
}

// 2^x for any x; 0 and infinity are reached long before the bounds.
__device__ __forceinline__ float exp2_bounded(float x) { return exp2_exact_at_zero(fminf(fmaxf(x, -256.0f), 256.0f)); }

// exp(A * sum): the decay over a whole piece.
__device__ __forceinline__ float2 decay_over(const float* A, int64_t state, float sum, bool is_complex) {
  if (!is_complex) return {exp2_bounded(kLog2E * A[state] * sum), 0.0f};
  const float modulus = exp2_bounded(kLog2E * A[2 * state] * sum);
  const HalfTurns turns = to_half_turns(A[2 * state + 1]);
  const float2 phasor = unit_phasor(sum, turns.high, turns.low);
  return {modulus * phasor.x, modulus * phasor.y};
}

// A thread carries one state of one channel through the pieces of its sequence.
template <bool kComplex>
__global__ void __launch_bounds__(kThreads)
    carry_states_kernel(const __grid_constant__ SelectiveScanParams p, int64_t chunks, Carries carries) {
  using State = std::conditional_t<kComplex, float2, float>;
  const int64_t row_states = p.dim * p.dstate;
  const int64_t count = p.sequences * row_states;
  auto* states = reinterpret_cast<State*>(carries.states);
  const auto* A = static_cast<const float*>(p.A);
  const auto* initial = static_cast<const State*>(p.initial_state);
  auto* last = static_cast<State*>(p.last_state);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += stride) {
    const int64_t sequence = i / row_states;
    const int64_t place = i % row_states;  // channel and state
    const bool packed = carries.first_pieces != nullptr;
    const int64_t begin = packed ? carries.first_pieces[sequence] : sequence * chunks;
    const int64_t end = packed ? carries.first_pieces[sequence + 1] : begin + chunks;
    State state = initial != nullptr ? initial[i] : State{};
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t at = piece * row_states + place;
      const State added = states[at];
      const float2 decay = decay_over(A, place, carries.sums[piece * p.dim + place / p.dstate], kComplex);
      states[at] = state;
      if constexpr (kComplex) {
        state = {fmaf(decay.x, state.x, fmaf(-decay.y, state.y, added.x)),
                 fmaf(decay.x, state.y, fmaf(decay.y, state.x, added.y))};
      } else {
        state = fmaf(decay.x, state, added);
      }
    }
    if (last != nullptr) last[i] = state;
  }
}

}  // namespace

cudaError_t sum_steps(const ScanArgs& args, float* sums, cudaStream_t stream) {
  switch (args.params.dtype) {
    case DType::kFloat32:
      launch_sums<float>(args, sums, stream);
      break;
    case DType::kFloat16:
      launch_sums<__half>(args, sums, stream);
      break;
    case DType::kBFloat16:
      launch_sums<__nv_bfloat16>(args, sums, stream);
      break;
    default:
      return cudaErrorInvalidValue;
  }
  return cudaGetLastError();
}

cudaError_t carry_states(const SelectiveScanParams& params, const ScanArgs& args, const Carries& carries,
                         cudaStream_t stream) {
  const unsigned grid = grid_of(params.sequences * params.dim * params.dstate);
  if (params.is_complex) {
    carry_states_kernel<true><<<grid, kThreads, 0, stream>>>(params, args.chunks, carries);
  } else {
    carry_states_kernel<false><<<grid, kThreads, 0, stream>>>(params, args.chunks, carries);
  }
  return cudaGetLastError();
}

}  // namespace selective_scan
