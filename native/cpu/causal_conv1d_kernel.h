// A piece of a convolution. Lanes are steps in 'bdl' and channels in 'bld', whichever lie side by side in memory; a sum
// is taken in the same order in both, so that neither the layout nor the piece shows in the bits. Included once for
// each vector set, after the header that defines its Vec.
#pragma once

#include <algorithm>

#include "causal_conv1d_piece.h"
#include "simd_lanes.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

template <class T>
void widen_weights_of(const CausalConv1dParams& params, float* into) {
  const int64_t dim = params.dim;
  const auto* weight = static_cast<const T*>(params.weight);
  float* const bias = into + params.width * dim;
  if (params.bias) {
    convert(static_cast<const T*>(params.bias), bias, dim);
  } else {
    std::fill_n(bias, dim, 0.0f);
  }
  if (params.layout == Layout::kBDL) return convert(weight, into, dim * params.width);
  // Turned, some channels at a time: their rows are too short for vectors.
  constexpr int64_t kRows = 64;
  float rows[kRows * kMostConvWidth];
  for (int64_t first = 0; first < dim; first += kRows) {
    const int64_t count = std::min(kRows, dim - first);
    convert(weight + first * params.width, rows, count * params.width);
    for (int64_t k = 0; k < params.width; ++k) {
      for (int64_t i = 0; i < count; ++i) into[k * dim + first + i] = rows[i * params.width + k];
    }
  }
}

inline void widen_weights(const CausalConv1dParams& params, float* into) {
  switch (params.weight_dtype) {
    case DType::kFloat16:
      return widen_weights_of<Float16>(params, into);
    case DType::kBFloat16:
      return widen_weights_of<BFloat16>(params, into);
    default:
      return widen_weights_of<float>(params, into);
  }
}

// kWidth is the width, or 0 for any.
template <class Element, int kWidth>
class Convolution {
 public:
  explicit Convolution(const ConvPiece& piece)
      : piece_(piece),
        params_(*piece.params),
        bias_(piece.weights + params_.width * params_.dim),
        x_(static_cast<const Element*>(params_.x) + piece.first),
        out_(static_cast<Element*>(params_.out) + piece.first) {}

  void run() {
    if (params_.layout == Layout::kBDL) {
      for (int64_t d = piece_.channel; d < piece_.channel + piece_.channels; ++d) run_channel(d);
    } else {
      run_steps();
    }
  }

 private:
  int width() const { return kWidth ? kWidth : static_cast<int>(params_.width); }

  Vec activate(Vec y) const {
    if (!params_.silu) return y;
    return sizeof(Element) == 4 ? silu(y) : rough_silu(y);
  }

  // 'bdl': `inputs` begin width - 1 steps before the first output.
  void convolve(int64_t d, const Element* inputs, Element* outputs, int64_t count) const {
    const float* weights = piece_.weights + d * width();
    for_each_vector(count, [&](int64_t t, int lanes) {
      Vec y = Vec::set(bias_[d]);
      for (int k = 0; k < width(); ++k) y = fma(Vec::set(weights[k]), load_lanes(inputs + t + k, lanes), y);
      store_lanes(outputs + t, activate(y), lanes);
    });
  }

  void run_channel(int64_t d) const {
    const int64_t kept = width() - 1;
    const Element* x = x_ + d * params_.seqlen;
    Element* out = out_ + d * params_.seqlen;
    // What was before the sequence, and the steps that still see it. They end before a whole vector does, but compilers
    // warn of one that would not fit.
    Element head[2 * (kMostConvWidth - 1) + Vec::kLanes];
    int64_t from = piece_.from;
    if (from == 0) {
      from = std::min(kept, piece_.steps);
      if (piece_.initial) {
        std::copy_n(static_cast<const Element*>(piece_.initial) + d * kept, kept, head);
      } else {
        std::fill_n(head, kept, Element{});
      }
      std::copy_n(x, from, head + kept);
      convolve(d, head, out, from);
    }
    if (from < piece_.to) convolve(d, x + (from - kept), out + from, piece_.to - from);
    if (piece_.final == nullptr || piece_.to < piece_.steps) return;
    const Element* last = piece_.steps >= kept ? x + (piece_.steps - kept) : head + piece_.steps;
    std::copy_n(last, kept, static_cast<Element*>(piece_.final) + d * kept);
  }

  void run_steps() {
    if (piece_.from == 0) load_histories();
    for (int64_t t = piece_.from; t < piece_.to; ++t) run_step(t);
    if (piece_.final && piece_.to == piece_.steps) store_states();
  }

  // Row j of the histories is step j - (width - 1), of the piece's channels.
  void load_histories() {
    const int64_t kept = width() - 1;
    const auto* initial = static_cast<const Element*>(piece_.initial) + piece_.channel * kept;
    for (int64_t j = 0; j < kept; ++j) {
      Element* history = histories_ + j * kMostConvChannels;
      if (piece_.initial) {
        for (int64_t c = 0; c < piece_.channels; ++c) history[c] = initial[c * kept + j];
      } else {
        std::fill_n(history, piece_.channels, Element{});
      }
    }
  }

  // The piece's channels at a step, which may be one before the sequence.
  const Element* inputs_at(int64_t t) const {
    if (t < 0) return histories_ + (t + width() - 1) * kMostConvChannels;
    return x_ + t * params_.dim + piece_.channel;
  }

  void run_step(int64_t t) const {
    const Element* inputs[kMostConvWidth];
    for (int k = 0; k < width(); ++k) inputs[k] = inputs_at(t - (width() - 1) + k);
    const float* weights = piece_.weights + piece_.channel;
    const float* bias = bias_ + piece_.channel;
    Element* out = out_ + t * params_.dim + piece_.channel;
    for_each_vector(piece_.channels, [&](int64_t c, int lanes) {
      Vec y = load_lanes(bias + c, lanes);
      for (int k = 0; k < width(); ++k) {
        y = fma(load_lanes(weights + k * params_.dim + c, lanes), load_lanes(inputs[k] + c, lanes), y);
      }
      store_lanes(out + c, activate(y), lanes);
    });
  }

  void store_states() const {
    const int64_t kept = width() - 1;
    const Element* inputs[kMostConvWidth - 1];
    for (int64_t j = 0; j < kept; ++j) inputs[j] = inputs_at(piece_.steps - kept + j);
    Element* final = static_cast<Element*>(piece_.final) + piece_.channel * kept;
    for (int64_t c = 0; c < piece_.channels; ++c) {
      for (int64_t j = 0; j < kept; ++j) final[c * kept + j] = inputs[j][c];
    }
  }

  const ConvPiece& piece_;
  const CausalConv1dParams& params_;
  const float* const bias_;
  const Element* const x_;
  Element* const out_;
  Element histories_[(kMostConvWidth - 1) * kMostConvChannels];  // in 'bld'
};

template <class Element>
void run_piece_of(const ConvPiece& piece) {
  if (piece.params->width == 4) return Convolution<Element, 4>(piece).run();
  Convolution<Element, 0>(piece).run();
}

inline void run_piece(const ConvPiece& piece) {
  switch (piece.params->dtype) {
    case DType::kFloat16:
      return run_piece_of<Float16>(piece);
    case DType::kBFloat16:
      return run_piece_of<BFloat16>(piece);
    default:
      return run_piece_of<float>(piece);
  }
}

constexpr ConvKernel kConvKernel = {widen_weights, run_piece};

}  // namespace
}  // namespace selective_scan
