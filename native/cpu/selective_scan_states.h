// The recurrence over one tile: a block of states at a time in registers, lanes being channels, y gathered in scratch.
#pragma once

#include "selective_scan_tile.h"
#include "vector_math.h"

namespace selective_scan {
namespace {

constexpr int kTile = 64;  // steps; a tile of dt, du and y then leaves room for B and C in a first-level cache

// One lane block's tile. Rows are vectors: A has one a state (A log2 e) or, complex, three (the real part times log2 e,
// and the imaginary part in half turns as high + low); h has one, or real and imaginary; so have B and C where
// constant.
struct StateTile {
  int64_t dstate;
  int64_t steps;
  const float* dt;  // [step][lane], as du and y
  const float* du;
  float* y;
  const float* A;
  const float* B;
  const float* C;
  float* h;
};

enum class Form {
  kAbsent,       // no output is wanted, so C is not read
  kConstant,     // rows of vectors, as A
  kVarying,      // [column / kLanes][step][column % kLanes], a column a state
  kVaryingPair,  // complex, real and imaginary in columns side by side
};

// Complex kVarying has real and imaginary parts as steps one after the other, so twice the steps.
template <bool kComplex>
constexpr int kStepFloats = kComplex ? 2 * kLanes : kLanes;

// Where state j of a block lies after its first, for states that start at a multiple of the block's size.
template <bool kComplex, Form kForm>
constexpr int offset_of_state(int j) {
  if (kForm == Form::kConstant) return j * (kComplex ? 2 : 1) * kLanes;
  if (kForm == Form::kVaryingPair) return 2 * j / kLanes * (kTile * kLanes) + 2 * j % kLanes;
  return j / kLanes * (kTile * kStepFloats<kComplex>)+j % kLanes;
}

template <bool kComplex, Form kForm>
int64_t offset_of_block(int64_t n) {
  if (kForm == Form::kConstant) return n * (kComplex ? 2 : 1) * kLanes;
  if (kForm == Form::kVaryingPair) return 2 * n / kLanes * (kTile * kLanes) + 2 * n % kLanes;
  return n / kLanes * (kTile * kStepFloats<kComplex>)+n % kLanes;
}

template <bool kComplex, Form kForm>
constexpr int step_floats() {
  if (kForm == Form::kConstant || kForm == Form::kAbsent) return 0;
  return kForm == Form::kVaryingPair ? kLanes : kStepFloats<kComplex>;
}

// Between the parts of a complex number.
template <Form kForm>
constexpr int kImaginary = kForm == Form::kVaryingPair ? 1 : kLanes;

template <Form kForm>
Vec operand(const float* p) {
  return kForm == Form::kConstant ? load(p) : Vec::set(*p);
}

template <int kStates, Form kB, Form kC>
void scan_real_block(const StateTile& tile, int64_t first) {
  const float* A = tile.A + first * kLanes;
  const float* B = tile.B + offset_of_block<false, kB>(first);
  const float* C = kC == Form::kAbsent ? nullptr : tile.C + offset_of_block<false, kC>(first);
  Vec h[kStates];
  SELECTIVE_SCAN_UNROLL
  for (int j = 0; j < kStates; ++j) h[j] = load(tile.h + (first + j) * kLanes);
  for (int64_t t = 0; t < tile.steps; ++t) {
    const Vec dt = load(tile.dt + t * kLanes);
    const Vec du = load(tile.du + t * kLanes);
    Vec y[2] = {Vec::zero(), Vec::zero()};  // two sums, so that no chain of additions bounds the speed
    if (kC != Form::kAbsent) y[0] = load(tile.y + t * kLanes);
    SELECTIVE_SCAN_UNROLL
    for (int j = 0; j < kStates; ++j) {
      const Vec decay = exp2(dt * load(A + j * kLanes));
      h[j] = fma(decay, h[j], du * operand<kB>(B + offset_of_state<false, kB>(j)));
      if (kC != Form::kAbsent) y[j % 2] = fma(operand<kC>(C + offset_of_state<false, kC>(j)), h[j], y[j % 2]);
    }
    if (kC != Form::kAbsent) store(tile.y + t * kLanes, kStates > 1 ? y[0] + y[1] : y[0]);
    B += step_floats<false, kB>();
    C += step_floats<false, kC>();
  }
  SELECTIVE_SCAN_UNROLL
  for (int j = 0; j < kStates; ++j) store(tile.h + (first + j) * kLanes, h[j]);
}

// exp(dt A) for a complex A. The half turns of dt A are taken exactly before whole ones are dropped.
inline void complex_decay(Vec dt, const float* A, Vec* re, Vec* im) {
  const Vec high = load(A + kLanes);
  const Vec whole = round_nearest(dt * high);
  const Vec rest = fma(dt, load(A + 2 * kLanes), exact_product_minus(dt, high, whole));
  Vec sine, cosine;
  sin_cos_pi(rest, &sine, &cosine);
  const Vec modulus = exp2(dt * load(A)) * sign_of_parity(whole);
  *re = modulus * cosine;
  *im = modulus * sine;
}

template <int kStates, Form kB, Form kC>
void scan_complex_block(const StateTile& tile, int64_t first) {
  const float* A = tile.A + first * 3 * kLanes;
  const float* B = tile.B + offset_of_block<true, kB>(first);
  const float* C = kC == Form::kAbsent ? nullptr : tile.C + offset_of_block<true, kC>(first);
  float* rows = tile.h + first * 2 * kLanes;
  Vec re[kStates], im[kStates];
  SELECTIVE_SCAN_UNROLL
  for (int j = 0; j < kStates; ++j) {
    re[j] = load(rows + 2 * j * kLanes);
    im[j] = load(rows + (2 * j + 1) * kLanes);
  }
  for (int64_t t = 0; t < tile.steps; ++t) {
    const Vec dt = load(tile.dt + t * kLanes);
    const Vec du = load(tile.du + t * kLanes);
    Vec y[2] = {Vec::zero(), Vec::zero()};  // the sums of Re C Re h and of Im C Im h
    if (kC != Form::kAbsent) y[0] = load(tile.y + t * kLanes);
    SELECTIVE_SCAN_UNROLL
    for (int j = 0; j < kStates; ++j) {
      Vec decay_re, decay_im;
      complex_decay(dt, A + 3 * j * kLanes, &decay_re, &decay_im);
      const float* b = B + offset_of_state<true, kB>(j);
      const Vec input_re = fma(decay_re, re[j], du * operand<kB>(b));
      const Vec input_im = fma(decay_re, im[j], du * operand<kB>(b + kImaginary<kB>));
      const Vec previous_re = re[j];
      re[j] = fnma(decay_im, im[j], input_re);
      im[j] = fma(decay_im, previous_re, input_im);
      if (kC != Form::kAbsent) {
        const float* c = C + offset_of_state<true, kC>(j);
        y[0] = fma(operand<kC>(c), re[j], y[0]);
        y[1] = fma(operand<kC>(c + kImaginary<kC>), im[j], y[1]);
      }
    }
    if (kC != Form::kAbsent) store(tile.y + t * kLanes, y[0] - y[1]);
    B += step_floats<true, kB>();
    C += step_floats<true, kC>();
  }
  SELECTIVE_SCAN_UNROLL
  for (int j = 0; j < kStates; ++j) {
    store(rows + 2 * j * kLanes, re[j]);
    store(rows + (2 * j + 1) * kLanes, im[j]);
  }
}

// All states from `first`: blocks of kStates, then of 4, then single ones.
template <bool kComplex, int kStates, Form kB, Form kC>
void scan_blocks(const StateTile& tile, int64_t first) {
  for (; tile.dstate - first >= kStates; first += kStates) {
    if constexpr (kComplex) {
      scan_complex_block<kStates, kB, kC>(tile, first);
    } else {
      scan_real_block<kStates, kB, kC>(tile, first);
    }
  }
  if constexpr (kStates > 1) scan_blocks<kComplex, (kStates > 4 ? 4 : 1), kB, kC>(tile, first);
}

template <bool kComplex, Form kB>
void scan_with_b(Form c, const StateTile& tile) {
  constexpr int kStates = kComplex ? Vec::kStates / 2 : Vec::kStates;
  switch (c) {
    case Form::kAbsent:
      return scan_blocks<kComplex, kStates, kB, Form::kAbsent>(tile, 0);
    case Form::kConstant:
      return scan_blocks<kComplex, kStates, kB, Form::kConstant>(tile, 0);
    case Form::kVarying:  // the two varying forms are of different layouts and never meet
      if constexpr (kB != Form::kVaryingPair) scan_blocks<kComplex, kStates, kB, Form::kVarying>(tile, 0);
      return;
    case Form::kVaryingPair:
      if constexpr (kComplex && kB != Form::kVarying) scan_blocks<kComplex, kStates, kB, Form::kVaryingPair>(tile, 0);
  }
}

template <bool kComplex>
void scan_states(Form b, Form c, const StateTile& tile) {
  switch (b) {
    case Form::kAbsent:
      return;
    case Form::kConstant:
      return scan_with_b<kComplex, Form::kConstant>(c, tile);
    case Form::kVarying:
      return scan_with_b<kComplex, Form::kVarying>(c, tile);
    case Form::kVaryingPair:
      if constexpr (kComplex) scan_with_b<kComplex, Form::kVaryingPair>(c, tile);
  }
}

}  // namespace
}  // namespace selective_scan
