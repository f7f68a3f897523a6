// All tokens of some channels of one row. Lanes are states while these are walked, because a channel's states lie side
// by side, and channels before and after, where each channel has one number. Included once for each vector set, after
// the header that defines its Vec.
#pragma once

#include "selective_state_update_piece.h"
#include "simd_lanes.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

constexpr int kLanes = Vec::kLanes;
constexpr int kTokenTile = 16;  // tokens; a tile of everything then fits a first-level cache

inline int64_t padded(int64_t dstate) { return (dstate + kLanes - 1) / kLanes * kLanes; }

inline size_t scratch_floats(const SelectiveStateUpdateParams& params) {
  const int64_t a_token = 2 * kLanes + kLanes * kLanes + 2 * padded(params.dstate);
  return static_cast<size_t>(kTokenTile * a_token + kLanes * padded(params.dstate));
}

// Lane i of the result is the sum of the lanes of row i. Each round interleaves the upper half of the rows with the
// lower and adds: that halves the rows and brings a bit of the row's number into the lane's.
inline Vec sums_of_rows(const float* rows) {
  Vec sums[kLanes];
  SELECTIVE_SCAN_UNROLL
  for (int i = 0; i < kLanes; ++i) sums[i] = load(rows + i * kLanes);
  for (int half = kLanes / 2; half >= 1; half /= 2) {
    SELECTIVE_SCAN_UNROLL
    for (int i = 0; i < kLanes / 2; ++i) {
      if (i < half) sums[i] = zip_low(sums[i], sums[i + half]) + zip_high(sums[i], sums[i + half]);
    }
  }
  return sums[0];
}

template <class Element, class State>
class StateUpdate {
 public:
  explicit StateUpdate(const StateUpdatePiece& piece)
      : piece_(piece),
        params_(*piece.params),
        row_(padded(params_.dstate)),
        rate_dt_(piece.scratch),
        du_(rate_dt_ + kTokenTile * kLanes),
        y_(du_ + kTokenTile * kLanes),
        B_(y_ + kTokenTile * kLanes * kLanes),
        C_(B_ + kTokenTile * row_),
        parked_(C_ + kTokenTile * row_) {}

  void run() {
    for (int64_t k = 0; k < piece_.channels; k += kLanes) {
      const int64_t rest = piece_.channels - k;
      channel_ = piece_.channel + k;
      lanes_ = rest < kLanes ? static_cast<int>(rest) : kLanes;
      for (first_token_ = 0; first_token_ < params_.tokens; first_token_ += kTokenTile) {
        const int64_t tokens = params_.tokens - first_token_;
        tokens_ = tokens < kTokenTile ? static_cast<int>(tokens) : kTokenTile;
        if (k == 0 || params_.tokens > kTokenTile) load_matrices();
        prepare();
        for (int lane = 0; lane < lanes_; ++lane) update_channel(lane);
        finish();
      }
    }
  }

 private:
  int64_t at_token(int t) const { return piece_.row * params_.tokens + first_token_ + t; }
  int64_t at_channel(int t) const { return at_token(t) * params_.dim + channel_; }

  void load_matrices() {
    const int64_t group = piece_.channel / (params_.dim / params_.groups);
    for (int t = 0; t < tokens_; ++t) {
      const int64_t first = (at_token(t) * params_.groups + group) * params_.dstate;
      for (int64_t n = 0; n < params_.dstate; n += kLanes) {
        const int count = lanes_from(n);
        store(B_ + t * row_ + n, load_lanes(static_cast<const Element*>(params_.B) + first + n, count));
        store(C_ + t * row_ + n, load_lanes(static_cast<const Element*>(params_.C) + first + n, count));
      }
    }
  }

  void prepare() {
    const Vec log2e = Vec::set(1.44269502f);
    for (int t = 0; t < tokens_; ++t) {
      const Vec u = activations(params_.u, t);
      Vec dt = activations(params_.delta, t);
      if (params_.delta_bias) dt = dt + load_lanes(params_.delta_bias + channel_, lanes_);
      if (params_.delta_softplus) dt = softplus(dt);
      store(rate_dt_ + t * kLanes, dt * log2e);
      store(du_ + t * kLanes, dt * u);
      for (int i = 0; i < kLanes; ++i) store(y_ + (t * kLanes + i) * kLanes, Vec::zero());
    }
  }

  // The state leaves its type before the first token and takes it again after the last; between tiles of tokens it is
  // parked as it is.
  void update_channel(int lane) {
    const int64_t columns = params_.dstate;
    State* state = static_cast<State*>(params_.state) + (piece_.slot * params_.dim + channel_ + lane) * columns;
    const float* A = params_.A + (channel_ + lane) * columns;
    float* parked = parked_ + lane * row_;
    const bool starts = first_token_ == 0;
    const bool ends = first_token_ + tokens_ == params_.tokens;
    for (int64_t n = 0; n < columns; n += kLanes) {
      const int count = lanes_from(n);
      const Vec h = walk_tokens(lane, n, count, load_lanes(A + n, count),
                                starts ? load_lanes(state + n, count) : load(parked + n));
      if (ends) {
        store_lanes(state + n, h, count);
      } else {
        store(parked + n, h);
      }
    }
  }

  Vec walk_tokens(int lane, int64_t n, int count, Vec A, Vec h) {
    for (int t = 0; t < tokens_; ++t) {
      const int i = t * kLanes + lane;
      const Vec decay = exp2(Vec::set(rate_dt_[i]) * A);
      h = fma(decay, h, Vec::set(du_[i]) * load(B_ + t * row_ + n));
      // The lanes past the last state stay 0 in the sum, whatever a step of infinity makes of them.
      float* y = y_ + i * kLanes;
      store_lanes(y, fma(load(C_ + t * row_ + n), h, load(y)), count);
      if (params_.states) {
        const int64_t row = at_channel(t) + lane;
        store_lanes(static_cast<State*>(params_.states) + row * params_.dstate + n, h, count);
      }
    }
    return h;
  }

  void finish() {
    for (int t = 0; t < tokens_; ++t) {
      Vec y = sums_of_rows(y_ + t * kLanes * kLanes);
      if (params_.D) y = fma(load_lanes(params_.D + channel_, lanes_), activations(params_.u, t), y);
      if (params_.z) y = y * silu(activations(params_.z, t));
      store_lanes(static_cast<Element*>(params_.out) + at_channel(t), y, lanes_);
    }
  }

  Vec activations(const void* data, int t) const {
    return load_lanes(static_cast<const Element*>(data) + at_channel(t), lanes_);
  }

  int lanes_from(int64_t n) const {
    return params_.dstate - n < kLanes ? static_cast<int>(params_.dstate - n) : kLanes;
  }

  const StateUpdatePiece& piece_;
  const SelectiveStateUpdateParams& params_;
  const int64_t row_;     // floats of a row of states in scratch
  float* const rate_dt_;  // dt log2(e), [token][lane]
  float* const du_;       // dt u
  float* const y_;        // what each lane of states adds to y, [token][channel][lane]
  float* const B_;        // [token][state]
  float* const C_;
  float* const parked_;  // [channel][state]

  // Where it is at: channels side by side, and a tile of tokens.
  int64_t channel_ = 0;
  int lanes_ = 0;
  int64_t first_token_ = 0;
  int tokens_ = 0;
};

template <class Element>
void run_piece_of(const StateUpdatePiece& piece) {
  switch (piece.params->state_dtype) {
    case DType::kFloat16:
      return StateUpdate<Element, Float16>(piece).run();
    case DType::kBFloat16:
      return StateUpdate<Element, BFloat16>(piece).run();
    default:
      return StateUpdate<Element, float>(piece).run();
  }
}

inline void run_piece(const StateUpdatePiece& piece) {
  switch (piece.params->dtype) {
    case DType::kFloat16:
      return run_piece_of<Float16>(piece);
    case DType::kBFloat16:
      return run_piece_of<BFloat16>(piece);
    default:
      return run_piece_of<float>(piece);
  }
}

constexpr StateUpdateKernel kStateUpdateKernel = {kLanes, scratch_floats, run_piece};

}  // namespace
}  // namespace selective_scan
