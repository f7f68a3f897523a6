// One slice of the scan, tile by tile: prepare u and delta as dt, du and the start of y; run the states; finish y as
// out. Included once for each vector set, after the header that defines its Vec.
#pragma once

#include "selective_scan_prefetch.h"
#include "selective_scan_slice.h"
#include "selective_scan_states.h"
#include "selective_scan_tile.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

constexpr int64_t kTileFloats = kTile * kLanes;

inline int64_t parts(const SelectiveScanParams& params) { return params.is_complex ? 2 : 1; }

// Floats a lane block keeps for the whole slice.
struct BlockSizes {
  explicit BlockSizes(const SelectiveScanParams& params)
      : A(params.dstate * (params.is_complex ? 3 : 1) * kLanes),
        state(params.dstate * parts(params) * kLanes),
        B(params.varying_b ? 0 : state),
        C(params.varying_c ? 0 : state) {}

  int64_t total() const { return A + state + B + C + 4 * kLanes; }

  int64_t A, state, B, C;
};

// Floats of a tile of varying B or C.
inline int64_t varying_tile_floats(const SelectiveScanParams& params) {
  return (params.dstate + kLanes - 1) / kLanes * parts(params) * kTileFloats;
}

inline size_t scratch_floats(const SelectiveScanParams& params, int64_t lane_blocks) {
  return static_cast<size_t>(lane_blocks * BlockSizes(params).total() + 2 * varying_tile_floats(params) +
                             3 * kTileFloats);
}

class SliceScan {
 public:
  explicit SliceScan(const ScanSlice& slice)
      : slice_(slice),
        params_(*slice.params),
        sizes_(params_),
        lane_blocks_((slice.channels + kLanes - 1) / kLanes),
        B_tile_(slice.scratch + lane_blocks_ * sizes_.total()),
        C_tile_(B_tile_ + varying_tile_floats(params_)),
        dt_(C_tile_ + varying_tile_floats(params_)),
        du_(dt_ + kTileFloats),
        y_(du_ + kTileFloats) {
    const bool tokens_first = params_.layout == Layout::kBLD;
    u_ = {nullptr, params_.dtype, tokens_first ? 1 : params_.seqlen, tokens_first ? params_.dim : 1};
    const int64_t columns = params_.groups * params_.dstate * parts(params_);
    B_ = {nullptr, params_.dtype, tokens_first ? 1 : params_.seqlen * parts(params_), tokens_first ? columns : 1};
    varying_ = params_.is_complex && tokens_first ? Form::kVaryingPair : Form::kVarying;
  }

  void run() {
    for (int64_t k = 0; k < lane_blocks_; ++k) load_block(k);
    for (int64_t t = slice_.begin; t < slice_.end; t += kTile) {
      const int64_t steps = slice_.end - t < kTile ? slice_.end - t : kTile;
      if (params_.varying_b) load_varying(params_.B, t, steps, B_tile_);
      if (params_.varying_c && !slice_.carry_only) load_varying(params_.C, t, steps, C_tile_);
      for (int64_t k = 0; k < lane_blocks_; ++k) {
        if (slice_.stopped(slice_.stop_context)) return;
        prepare(k, t, steps);
        scan(k, steps);
        if (!slice_.carry_only) finish(k, t, steps);
      }
    }
    for (int64_t k = 0; k < lane_blocks_; ++k) store_block(k);
  }

 private:
  // A lane block's part of scratch.
  float* A_of(int64_t k) const { return slice_.scratch + k * sizes_.total(); }
  float* h_of(int64_t k) const { return A_of(k) + sizes_.A; }
  float* constant_B_of(int64_t k) const { return h_of(k) + sizes_.state; }
  float* constant_C_of(int64_t k) const { return constant_B_of(k) + sizes_.B; }
  float* delta_bias_of(int64_t k) const { return constant_C_of(k) + sizes_.C; }
  float* D_of(int64_t k) const { return delta_bias_of(k) + kLanes; }
  float* dt_sum_of(int64_t k) const { return D_of(k) + kLanes; }  // as high and low

  int lanes_of(int64_t k) const {
    const int64_t rest = slice_.channels - k * kLanes;
    return rest < kLanes ? static_cast<int>(rest) : kLanes;
  }

  // Rows [dstate] or [dstate][2] of float32, one a channel, to vectors.
  void load_rows(const void* rows, int64_t first_row, int lanes, float* vectors) const {
    const int64_t columns = params_.dstate * parts(params_);
    load_tile(static_cast<const float*>(rows) + first_row * columns, columns, 1, lanes, columns, vectors);
  }

  void load_channel_values(const float* values, int64_t channel, int lanes, float* vector) const {
    const Vec loaded = !values ? Vec::zero() : lanes == kLanes ? load(values + channel) : load(values + channel, lanes);
    store(vector, loaded);
  }

  void load_block(int64_t k) {
    const int lanes = lanes_of(k);
    const int64_t channel = slice_.channel + k * kLanes;
    load_A(k, channel, lanes);
    if (!params_.varying_b) load_rows(params_.B, channel, lanes, constant_B_of(k));
    if (!params_.varying_c) load_rows(params_.C, channel, lanes, constant_C_of(k));
    load_channel_values(params_.delta_bias, channel, lanes, delta_bias_of(k));
    load_channel_values(params_.D, channel, lanes, D_of(k));
    store(dt_sum_of(k), Vec::zero());
    store(dt_sum_of(k) + kLanes, Vec::zero());

    float* h = h_of(k);
    if (!slice_.carry_only && !slice_.carry_in && params_.initial_state) {
      return load_rows(params_.initial_state, slice_.sequence * params_.dim + channel, lanes, h);
    }
    const float* carry = slice_.carry_only ? nullptr : slice_.carry_in;
    for (int64_t i = 0; i < sizes_.state; i += kLanes) {
      store(h + i, carry ? load(carry + k * sizes_.state + i) : Vec::zero());
    }
  }

  // Scaled for exponentials of base 2 and for angles in half turns.
  void load_A(int64_t k, int64_t channel, int lanes) {
    const Vec log2e = Vec::set(1.44269502f);
    float* A = A_of(k);
    if (!params_.is_complex) {
      load_rows(params_.A, channel, lanes, A);
      for (int64_t i = 0; i < sizes_.A; i += kLanes) store(A + i, load(A + i) * log2e);
      return;
    }
    float* pairs = h_of(k);  // not in use yet, and of the size
    load_rows(params_.A, channel, lanes, pairs);
    const Vec per_pi = Vec::set(0.318309873f);
    const Vec per_pi_low = Vec::set(1.28412765e-8f);
    for (int64_t n = 0; n < params_.dstate; ++n) {
      const Vec radians = load(pairs + (2 * n + 1) * kLanes);
      const Vec high = radians * per_pi;
      const Vec rounding = exact_product_minus(radians, per_pi, high);
      store(A + 3 * n * kLanes, load(pairs + 2 * n * kLanes) * log2e);
      store(A + (3 * n + 1) * kLanes, high);
      store(A + (3 * n + 2) * kLanes, fma(radians, per_pi_low, rounding));
    }
  }

  // Varying B and C as lanes and steps of the whole array. 'bdl' numbers the states of all batches and groups through
  // as lanes, and the parts of a complex value are steps; 'bld' has the tokens of all batches as steps, and the parts
  // are lanes.
  int64_t parts_as_lanes() const { return params_.layout == Layout::kBLD ? parts(params_) : 1; }
  int64_t parts_as_steps() const { return params_.layout == Layout::kBLD ? 1 : parts(params_); }
  int64_t varying_lanes() const { return params_.dstate * parts_as_lanes(); }
  int64_t varying_lane() const {
    const int64_t group = slice_.channel / (params_.dim / params_.groups);
    return (params_.layout == Layout::kBLD ? group : slice_.batch * params_.groups + group) * varying_lanes();
  }

  void load_varying(const void* data, int64_t time, int64_t steps, float* tile) const {
    Plane plane = B_;
    plane.data = data;
    for (int64_t n = 0; n < varying_lanes(); n += kLanes) {
      const int64_t rest = varying_lanes() - n;
      const int lanes = rest < kLanes ? static_cast<int>(rest) : kLanes;
      load_tile(plane, varying_lane() + n, step_of(time) * parts_as_steps(), lanes, steps * parts_as_steps(),
                tile + n * kTile * parts_as_steps());
    }
  }

  // u, delta, z and out of one lane block as lanes and steps of the whole array, as above.
  int64_t lane_of(int64_t k) const {
    const int64_t channel = slice_.channel + k * kLanes;
    return params_.layout == Layout::kBLD ? channel : slice_.batch * params_.dim + channel;
  }
  int64_t step_of(int64_t time) const {
    return params_.layout == Layout::kBLD ? slice_.batch * params_.seqlen + time : time;
  }
  void load_activations(const void* data, int64_t k, int64_t time, int64_t steps, float* tile) const {
    Plane plane = u_;
    plane.data = data;
    load_tile(plane, lane_of(k), step_of(time), lanes_of(k), steps, tile);
  }

  // What is wanted after a block's u and delta: the rest of it, and what the next block begins with.
  void add_soon(int64_t k, int64_t time, TilePrefetch* activations, TilePrefetch* matrices) const {
    if (!slice_.carry_only) {
      activations->add(params_.z, lane_of(k), step_of(time));
      activations->add(params_.out, lane_of(k), step_of(time));
    }
    const bool ends_tile = k + 1 == lane_blocks_;
    const int64_t next_k = ends_tile ? 0 : k + 1;
    const int64_t next_time = ends_tile ? time + kTile : time;
    if (next_time >= slice_.end) return;
    activations->add(params_.u, lane_of(next_k), step_of(next_time));
    activations->add(params_.delta, lane_of(next_k), step_of(next_time));
    if (!ends_tile) return;
    for (int64_t n = 0; n < varying_lanes(); n += kLanes) {
      const int64_t step = step_of(next_time) * parts_as_steps();
      if (params_.varying_b) matrices->add(params_.B, varying_lane() + n, step);
      if (params_.varying_c && !slice_.carry_only) matrices->add(params_.C, varying_lane() + n, step);
    }
  }

  void prepare(int64_t k, int64_t time, int64_t steps) {
    load_activations(params_.u, k, time, steps, du_);
    load_activations(params_.delta, k, time, steps, dt_);
    const Vec delta_bias = load(delta_bias_of(k));
    // A complex y is doubled at the end.
    const Vec D = params_.is_complex ? load(D_of(k)) * Vec::set(0.5f) : load(D_of(k));
    TilePrefetch activations(u_);
    TilePrefetch matrices(B_, parts_as_steps());
    add_soon(k, time, &activations, &matrices);
    Vec sum = Vec::zero();
    for (int64_t i = 0; i < steps * kLanes; i += kLanes) {
      activations.ask(i / kLanes);
      matrices.ask(i / kLanes);
      const Vec u = load(du_ + i);
      Vec dt = load(dt_ + i) + delta_bias;
      if (params_.delta_softplus) dt = softplus(dt);
      sum = sum + dt;
      store(dt_ + i, dt);
      store(du_ + i, dt * u);
      store(y_ + i, D * u);
    }
    if (slice_.carry_only) add_to_dt_sum(k, sum);
  }

  // As two floats: an imaginary part of A can make many turns of the sum, and its rounding a visible angle.
  void add_to_dt_sum(int64_t k, Vec tile_sum) {
    float* sum = dt_sum_of(k);
    const Vec high = load(sum);
    const Vec total = high + tile_sum;
    const Vec kept = total - high;
    const Vec lost = (high - (total - kept)) + (tile_sum - kept);
    store(sum, total);
    store(sum + kLanes, load(sum + kLanes) + lost);
  }

  void scan(int64_t k, int64_t steps) {
    StateTile tile;
    tile.dstate = params_.dstate;
    tile.steps = steps;
    tile.dt = dt_;
    tile.du = du_;
    tile.y = y_;
    tile.A = A_of(k);
    tile.B = params_.varying_b ? B_tile_ : constant_B_of(k);
    tile.C = params_.varying_c ? C_tile_ : constant_C_of(k);
    tile.h = h_of(k);
    const Form b = params_.varying_b ? varying_ : Form::kConstant;
    const Form c = slice_.carry_only ? Form::kAbsent : params_.varying_c ? varying_ : Form::kConstant;
    if (params_.is_complex) {
      scan_states<true>(b, c, tile);
    } else {
      scan_states<false>(b, c, tile);
    }
  }

  void finish(int64_t k, int64_t time, int64_t steps) {
    if (params_.is_complex) {
      for (int64_t i = 0; i < steps * kLanes; i += kLanes) store(y_ + i, load(y_ + i) + load(y_ + i));
    }
    if (params_.z) {
      float* z = dt_;
      load_activations(params_.z, k, time, steps, z);
      for (int64_t i = 0; i < steps * kLanes; i += kLanes) store(y_ + i, load(y_ + i) * silu(load(z + i)));
    }
    store_tile(u_, params_.out, lane_of(k), step_of(time), lanes_of(k), steps, y_);
  }

  void store_block(int64_t k) {
    const float* h = h_of(k);
    if (slice_.carry_out) {
      float* carry = slice_.carry_out + k * sizes_.state;
      for (int64_t i = 0; i < sizes_.state; i += kLanes) store(carry + i, load(h + i));
    }
    if (slice_.decay_out) store_decay(k, slice_.decay_out + k * sizes_.state);
    if (slice_.ends_sequence && params_.last_state) {
      const int64_t columns = params_.dstate * parts(params_);
      const int64_t row = slice_.sequence * params_.dim + slice_.channel + k * kLanes;
      store_tile(static_cast<float*>(params_.last_state) + row * columns, columns, 1, lanes_of(k), columns, h);
    }
  }

  // The product of exp(dt A) over the slice is exp(A sum of dt).
  void store_decay(int64_t k, float* decay) const {
    const float* A = A_of(k);
    const Vec sum = load(dt_sum_of(k));
    const Vec sum_low = load(dt_sum_of(k) + kLanes);
    for (int64_t n = 0; n < params_.dstate; ++n) {
      if (!params_.is_complex) {
        store(decay + n * kLanes, exp2(sum * load(A + n * kLanes)));
        continue;
      }
      Vec re, im, re_low, im_low;
      complex_decay(sum, A + 3 * n * kLanes, &re, &im);
      complex_decay(sum_low, A + 3 * n * kLanes, &re_low, &im_low);
      store(decay + 2 * n * kLanes, fnma(im, im_low, re * re_low));
      store(decay + (2 * n + 1) * kLanes, fma(im, re_low, re * im_low));
    }
  }

  const ScanSlice& slice_;
  const SelectiveScanParams& params_;
  const BlockSizes sizes_;
  const int64_t lane_blocks_;
  float* const B_tile_;
  float* const C_tile_;
  float* const dt_;
  float* const du_;
  float* const y_;
  Plane u_;  // the shapes; the data differ
  Plane B_;
  Form varying_;
};

inline void run_slice(const ScanSlice& slice) { SliceScan(slice).run(); }

constexpr ScanKernel kScanKernel = {kLanes, scratch_floats, run_slice};

}  // namespace
}  // namespace selective_scan
