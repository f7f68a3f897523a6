// The third kernel of a layer's step: dt_proj and softplus, the states' step, and the gate. Four lanes share a channel
// of a row, and a block has some channels of several rows, which share the weights of dt_proj. What the two kernels
// before the last one wrote, and the states, are read before the wait, see follow_earlier_kernels(). The last kernel
// may come at once: what it reads before its own wait, weights and slots, no kernel of the step writes.
#pragma once

#include "dependent_launch.cuh"
#include "mamba_layer_step_args.cuh"

namespace selective_scan {

constexpr int kScanLanes = 4;
constexpr int kScanChannels = 16;
constexpr int kScanRowThreads = kScanLanes * kScanChannels;
constexpr int kMostScanRows = 8;

// Elements of dt_proj's rows in shared memory, and of dt's, are padded to whole pieces.
template <typename Element>
__host__ __device__ constexpr int64_t padded_rank(int64_t rank) {
  constexpr int64_t kPiece = 16 / sizeof(Element);
  return (rank + kPiece - 1) / kPiece * kPiece;
}

// A row of dt_proj ends with a piece that nothing reads, so that rows begin in different banks.
template <typename Element>
constexpr int64_t scan_weight_bytes(int64_t rank) {
  return kScanChannels * (padded_rank<Element>(rank) * static_cast<int64_t>(sizeof(Element)) + 16);
}

template <typename Element>
__host__ __device__ constexpr int64_t scan_row_bytes(int64_t rank, int64_t dstate) {
  return (padded_rank<Element>(rank) + 2 * dstate + 3) / 4 * 16;
}

// Four states, or the last few; past the first-level cache.
template <typename State>
__device__ __forceinline__ void load_states(const void* states, int64_t index, int count, bool has_vectors,
                                            float (&h)[kUpdateVector]) {
  const State* const from = static_cast<const State*>(states) + index;
  if (has_vectors) {
    Chunk<State, kUpdateVector> chunk = {};
    using Vector = std::conditional_t<sizeof(State) == 4, uint4, uint2>;
    if (count > 0) {
      const Vector vector = __ldcg(reinterpret_cast<const Vector*>(from));
      memcpy(&chunk, &vector, sizeof(vector));
    }
    widen_chunk(&chunk, h);
  } else {
#pragma unroll
    for (int j = 0; j < kUpdateVector; ++j) h[j] = j < count ? static_cast<float>(__ldcg(from + j)) : 0.0f;
  }
}

template <typename State>
__device__ __forceinline__ void store_states(void* states, int64_t index, int count, bool has_vectors,
                                             const float (&h)[kUpdateVector]) {
  State* const to = static_cast<State*>(states) + index;
  if (!has_vectors) {
    store_elements(to, h, count);
  } else if (count > 0) {
    store_chunk(to, h);
  }
}

template <typename Element>
class LayerScan {
 public:
  __device__ __forceinline__ explicit LayerScan(const LayerStepArgs& args)
      : args_(args),
        p_(args.params),
        batch_(batch_rows(args, args.scan_rows)),
        lane_(threadIdx.x % kScanLanes),
        m_(threadIdx.x / kScanRowThreads),
        channel_(static_cast<int64_t>(blockIdx.x) * kScanChannels + threadIdx.x / kScanLanes % kScanChannels),
        has_channel_(channel_ < p_.dim && m_ < batch_.count),
        rank_(static_cast<int>(padded_rank<Element>(p_.dt_rank))),
        has_vectors_(p_.dstate % kUpdateVector == 0),
        weights_(reinterpret_cast<Element*>(block_memory())),
        selected_(reinterpret_cast<float*>(weights_ + kScanChannels * (rank_ + kPiece))),
        selected_stride_(static_cast<int>(scan_row_bytes<Element>(p_.dt_rank, p_.dstate) / 4)) {}

  __device__ __forceinline__ void fetch() {
    fetch_weights();
    if (!has_channel_) return;
    const int64_t row = batch_.first + m_;
    const int32_t slot = slot_of(args_, row);
    has_slot_ = is_there(args_, slot);
    in_states_ = (slot * p_.dim + channel_) * p_.dstate;
    load(lane_ * kUpdateVector);
    u_ = static_cast<float>(__ldcg(static_cast<const Element*>(args_.u) + row * p_.dim + channel_));
    z_ = static_cast<float>(__ldcg(static_cast<const Element*>(args_.z) + row * p_.dim + channel_));
    dt_bias_ = p_.dt_bias[channel_];
    D_ = p_.D[channel_];
  }

  __device__ __forceinline__ void load_selected() {
    const int rank = static_cast<int>(p_.dt_rank);
    const int columns = rank + 2 * static_cast<int>(p_.dstate);
    if (m_ < batch_.count) {
      const float* const from = args_.selected + (batch_.first + m_) * columns;
      float* const to = selected_ + m_ * selected_stride_;
      const int first = threadIdx.x % kScanRowThreads;
#pragma unroll 4
      for (int i = first; i < columns; i += kScanRowThreads) to[i < rank ? i : i + rank_ - rank] = from[i];
      for (int i = rank + first; i < rank_; i += kScanRowThreads) to[i] = 0.0f;
    }
    wait_for_copies();
    __syncthreads();
    if (p_.mixer_norm) normalize_selected();
  }

  __device__ __forceinline__ void update() {
    const float* const selected = selected_ + (m_ < batch_.count ? m_ : 0) * selected_stride_;
    float dt = time_step(selected);
    softplus<1, sizeof(Element) == 4>(&dt);
    const float rate_dt = kLog2E * dt;
    const float du = dt * u_;
    const float* const B = selected + rank_;
    const float* const C = B + p_.dstate;
    float y = 0.0f;
    for (int n = lane_ * kUpdateVector; n < p_.dstate; n += kScanLanes * kUpdateVector) {
      if (n != lane_ * kUpdateVector) load(n);
#pragma unroll
      for (int j = 0; j < kUpdateVector; ++j) {
        if (j >= p_.dstate - n) break;
        h_[j] = fmaf(decay_of<Element>(rate_dt, A_[j]), h_[j], du * B[n + j]);
        y = fmaf(C[n + j], h_[j], y);
      }
      if (has_slot_) store(n);
    }
    y = quad_sum(y);
    if (!has_channel_ || lane_ != 0) return;
    const float out = fmaf(D_, u_, y) * silu<Element>(z_);
    static_cast<Element*>(args_.y)[(batch_.first + m_) * p_.dim + channel_] = narrow<Element>(out);
  }

 private:
  static constexpr int kPiece = 16 / sizeof(Element);

  static __device__ __forceinline__ float quad_sum(float value) {
    value += __shfl_xor_sync(~0u, value, 1);
    return value + __shfl_xor_sync(~0u, value, 2);
  }

  __device__ __forceinline__ void fetch_weights() {
    const int pieces = rank_ / kPiece;
    const bool has_whole_pieces = rank_ == p_.dt_rank;
    for (int i = threadIdx.x; i < kScanChannels * pieces; i += blockDim.x) {
      const int64_t channel = static_cast<int64_t>(blockIdx.x) * kScanChannels + i / pieces;
      const int column = i % pieces * kPiece;
      auto* const slot = reinterpret_cast<Chunk<Element, kPiece>*>(weights_ + i / pieces * (rank_ + kPiece) + column);
      const auto* const from = static_cast<const Element*>(p_.dt_proj) + channel * p_.dt_rank + column;
      if (has_whole_pieces && channel < p_.dim) {
        fetch_chunk(slot, from);
      } else {
        *slot = {};
        if (channel < p_.dim) fetch_elements(slot, from, clamp_count(p_.dt_rank - column, kPiece));
      }
    }
    commit_copies();
  }

  __device__ __forceinline__ void load(int n) {
    const int count = has_channel_ ? clamp_count(p_.dstate - n, kUpdateVector) : 0;
    load_states<float>(p_.A, channel_ * p_.dstate + n, count, has_vectors_, A_);
    const int states = has_slot_ ? count : 0;
    switch (p_.ssm_state_dtype) {
      case DType::kFloat16:
        load_states<__half>(p_.ssm_state, in_states_ + n, states, has_vectors_, h_);
        break;
      case DType::kBFloat16:
        load_states<__nv_bfloat16>(p_.ssm_state, in_states_ + n, states, has_vectors_, h_);
        break;
      default:
        load_states<float>(p_.ssm_state, in_states_ + n, states, has_vectors_, h_);
    }
  }

  __device__ __forceinline__ void store(int n) const {
    const int count = clamp_count(p_.dstate - n, kUpdateVector);
    switch (p_.ssm_state_dtype) {
      case DType::kFloat16:
        return store_states<__half>(p_.ssm_state, in_states_ + n, count, has_vectors_, h_);
      case DType::kBFloat16:
        return store_states<__nv_bfloat16>(p_.ssm_state, in_states_ + n, count, has_vectors_, h_);
      default:
        return store_states<float>(p_.ssm_state, in_states_ + n, count, has_vectors_, h_);
    }
  }

  // dt, B and C of each row each to a mean square of 1.
  __device__ __forceinline__ void normalize_selected() {
    const int dstate = static_cast<int>(p_.dstate);
    const int lane = threadIdx.x % 32;
    for (int job = threadIdx.x / 32; job < 3 * batch_.count; job += blockDim.x / 32) {
      const int part = job % 3;
      float* const values = selected_ + job / 3 * selected_stride_ + (part == 0 ? 0 : rank_ + (part - 1) * dstate);
      const int count = part == 0 ? static_cast<int>(p_.dt_rank) : dstate;
      float squares = 0.0f;
      for (int i = lane; i < count; i += 32) squares = fmaf(values[i], values[i], squares);
#pragma unroll
      for (int offset = 16; offset >= 1; offset /= 2) squares += __shfl_xor_sync(~0u, squares, offset);
      const float scale = rsqrtf(squares / static_cast<float>(count) + p_.mixer_norm_eps);
      for (int i = lane; i < count; i += 32) values[i] *= scale;
    }
    __syncthreads();
  }

  __device__ __forceinline__ float time_step(const float* dt) const {
    const Element* const row = weights_ + threadIdx.x / kScanLanes % kScanChannels * (rank_ + kPiece);
    float sum = 0.0f;
    for (int i = lane_ * kPiece; i < rank_; i += kScanLanes * kPiece) {
      float w[kPiece];
      widen_chunk(reinterpret_cast<const Chunk<Element, kPiece>*>(row + i), w);
#pragma unroll
      for (int j = 0; j < kPiece; j += 4) {
        const float4 x = *reinterpret_cast<const float4*>(dt + i + j);
        sum = fmaf(w[j], x.x, fmaf(w[j + 1], x.y, fmaf(w[j + 2], x.z, fmaf(w[j + 3], x.w, sum))));
      }
    }
    return quad_sum(sum) + dt_bias_;
  }

  const LayerStepArgs& args_;
  const MambaLayerStepParams& p_;
  const BatchRows batch_;
  const int lane_;
  const int m_;
  const int64_t channel_;
  const bool has_channel_;
  const int rank_;  // padded
  const bool has_vectors_;
  Element* const weights_;
  float* const selected_;  // dt padded, B, C of each row
  const int selected_stride_;

  bool has_slot_ = false;
  int64_t in_states_ = 0;
  float A_[kUpdateVector] = {};
  float h_[kUpdateVector] = {};
  float u_ = 0.0f;
  float z_ = 0.0f;
  float dt_bias_ = 0.0f;
  float D_ = 0.0f;
};

template <typename Element>
__global__ void __launch_bounds__(kScanRowThreads* kMostScanRows, 1)
    mamba_layer_step_scan(const __grid_constant__ LayerStepArgs args) {
  let_next_kernel_come();
  LayerScan<Element> scan(args);
  scan.fetch();
  await_earlier_kernels();
  scan.load_selected();
  scan.update();
}

}  // namespace selective_scan
