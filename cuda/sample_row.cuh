// The logits of a row as tokens are chosen by them, and passes over them.
#pragma once

#include "../native/ops/sample.h"
#include "../native/ops/sample_numbers.h"
#include "sample_places.cuh"

namespace selective_scan {

// A call, since an inlined division is done for all logits, whether they need it or not.
static __device__ __noinline__ float penalise(float logit, float penalty) { return penalised(logit, penalty); }

class LogitRow {
 public:
  // Passes are over this block's part of it, one of as many as there are blocks for the row.
  __device__ __forceinline__ LogitRow(const SampleParams& p, int64_t row, unsigned part = 0, unsigned parts = 1)
      : first_(kRowVector * static_cast<int>(part * kSampleThreads + threadIdx.x)),
        step_(kRowVector * kSampleThreads * static_cast<int>(parts)),
        vocab_(static_cast<int>(p.vocab)),
        penalty_(p.repetition_penalty),
        dtype_(p.dtype),
        logits_(static_cast<const char*>(p.logits) + row * p.vocab * (p.dtype == DType::kFloat32 ? 4 : 2)),
        seen_(p.repetition_penalty == 1.0f ? nullptr : p.seen + row * p.vocab),
        has_vectors_(p.vocab % kRowVector == 0) {}

  __device__ __forceinline__ int vocab() const { return vocab_; }
  __device__ __forceinline__ bool has_penalties() const { return seen_ != nullptr; }
  __device__ __forceinline__ float raw(int i) const { return load_element(logits_, dtype_, i); }
  __device__ __forceinline__ float operator[](int i) const {
    const float logit = raw(i);
    return seen_ != nullptr && seen_[i] > 0 ? penalise(logit, penalty_) : logit;
  }

  // Calls act(index, raw logit, logit) for this thread's share of the pass, in rising order. The next vector is on the
  // way while one is worked on, kAtOnce logits of it at a time, which may be fewer than all so that there is less code.
  template <int kAtOnce = kRowVector / 2, typename Act>
  __device__ __forceinline__ void each(const Act& act) const {
    Vector next;
    for (int i = first_ - step_; i < vocab_; i += step_) {
      const Vector now = next;
      next = load(i + step_);
      if (i < 0) continue;  // the first round only loads
      float raw[kRowVector];
      float logits[kRowVector];
      widen(now, raw);
      widen(now, logits);
      if (seen_ != nullptr) penalise_seen(now, logits);
#pragma unroll 1
      for (int first = i; first < min(i + kRowVector, vocab_); first += kAtOnce) {
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
          if (first + j >= vocab_) break;
          act(first + j, raw[j], logits[j]);
          raw[j] = raw[(j + kAtOnce) % kRowVector];
          logits[j] = logits[(j + kAtOnce) % kRowVector];
        }
      }
    }
  }

 private:
  // As it is in memory: of 16-bit logits in the first half of the words.
  struct Vector {
    Chunk<float, kRowVector> logits = {};
    Chunk<int32_t, kRowVector> seen = {};

    __device__ __forceinline__ auto* halves() { return reinterpret_cast<Chunk<__half, kRowVector>*>(&logits); }
  };

  __device__ __forceinline__ Vector load(int i) const {
    Vector vector;
    if (i >= vocab_) return vector;
    const auto* const floats = static_cast<const float*>(logits_) + i;
    const auto* const halves = static_cast<const __half*>(logits_) + i;
    if (has_vectors_) {
      if (dtype_ == DType::kFloat32) {
        vector.logits = *reinterpret_cast<const Chunk<float, kRowVector>*>(floats);
      } else {
        *vector.halves() = *reinterpret_cast<const Chunk<__half, kRowVector>*>(halves);
      }
      if (seen_ != nullptr) vector.seen = *reinterpret_cast<const Chunk<int32_t, kRowVector>*>(seen_ + i);
    } else {
      const int count = min(vocab_ - i, kRowVector);
      if (dtype_ == DType::kFloat32) {
        fetch_elements(&vector.logits, floats, count);
      } else {
        fetch_elements(vector.halves(), halves, count);
      }
      if (seen_ != nullptr) fetch_elements(&vector.seen, seen_ + i, count);
    }
    return vector;
  }

  __device__ __forceinline__ void widen(Vector vector, float (&values)[kRowVector]) const {
    if (dtype_ == DType::kFloat32) {
      widen_chunk(&vector.logits, values);
    } else if (dtype_ == DType::kFloat16) {
      widen_chunk(vector.halves(), values);
    } else {
      widen_chunk(reinterpret_cast<Chunk<__nv_bfloat16, kRowVector>*>(vector.halves()), values);
    }
  }

  __device__ __forceinline__ void penalise_seen(const Vector& vector, float (&logits)[kRowVector]) const {
#pragma unroll
    for (int j = 0; j < kRowVector; ++j) {
      if (static_cast<int32_t>(vector.seen.words[j]) > 0) logits[j] = penalise(logits[j], penalty_);
    }
  }

  const int first_;  // of this thread
  const int step_;
  const int vocab_;
  const float penalty_;
  const DType dtype_;
  const void* const logits_;
  const int32_t* const seen_;
  const bool has_vectors_;
};

}  // namespace selective_scan
