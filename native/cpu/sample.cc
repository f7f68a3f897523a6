// The op: rows are shared out among threads, each with scratch memory for one. Once begun it is finished, so that no
// count is left half raised.
#include "sample.h"

#include <algorithm>
#include <limits>

#include "../ops/sample_numbers.h"
#include "memory.h"
#include "row_pieces.h"
#include "sample_draw.h"
#include "sample_passes.h"
#include "vector_set.h"

namespace selective_scan {
namespace {

// A thread's scratch memory: a row's logits and shares and, where tokens are ranked, their ranks.
class Scratch {
 public:
  Scratch(const SampleParams& params, int threads)
      : stretch_((params.vocab + kLine - 1) / kLine * kLine),
        floats_((sample_needs_ranks(params) ? 4 : 2) * stretch_),
        memory_(allocate_floats(static_cast<size_t>(floats_ * threads))) {}

  bool is_there() const { return memory_ != nullptr; }
  float* logits(int slot) const { return memory_.get() + slot * floats_; }
  float* shares(int slot) const { return logits(slot) + stretch_; }
  uint64_t* ranks(int slot) const { return reinterpret_cast<uint64_t*>(shares(slot) + stretch_); }

 private:
  static constexpr int64_t kLine = 16;  // floats in a line of the cache, which threads do not share

  const int64_t stretch_;
  const int64_t floats_;
  const AlignedFloats memory_;
};

int32_t choose_token(const SampleParams& params, const SamplePasses& passes, int64_t at, const SampleMaxima& maxima,
                     const Scratch& scratch, int slot) {
  if (maxima.has_nan || maxima.penalised == -std::numeric_limits<float>::infinity()) return -1;
  const float* const logits = scratch.logits(slot);
  if (params.temperature == 0) {
    return static_cast<int32_t>(std::find(logits, logits + params.vocab, maxima.penalised) - logits);
  }
  passes.weigh(logits, params.vocab, maxima.penalised, scale_of(params.temperature), scratch.shares(slot));
  SampleRow row;
  row.logits = logits;
  row.shares = scratch.shares(slot);
  row.maximum = maxima.penalised;
  if (sample_needs_ranks(params)) row.ranks = scratch.ranks(slot);
  const auto* const random = reinterpret_cast<const uint32_t*>(params.random) + 3 * at;
  return draw_token(params, row, philox(random[0], random[1], random[2]));
}

void sample_row(const SampleParams& params, const SamplePasses& passes, int64_t at, const Scratch& scratch, int slot) {
  const SampleMaxima maxima = passes.read(params, at, scratch.logits(slot));
  const int32_t token = choose_token(params, passes, at, maxima, scratch, slot);
  params.tokens[at] = token;
  if (params.temperature > 0) ++reinterpret_cast<uint32_t*>(params.random)[3 * at + 2];
  if (params.seen != nullptr && token >= 0) ++reinterpret_cast<uint32_t*>(params.seen)[at * params.vocab + token];
  if (params.logprobs == nullptr) return;
  params.logprobs[at] =
      token >= 0 ? passes.log_probability(params, at, maxima.raw, token) : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

Status cpu_sample(const Call&, const SampleParams& params) {
  VectorSet set;
  const Status chosen = choose_vector_set(&set);
  if (!chosen.ok()) return chosen;
  const SamplePasses& passes = SELECTIVE_SCAN_KERNEL(sample, set);
  const int threads = row_threads(params.batch, params.vocab);
  const Scratch scratch(params, threads);
  if (!scratch.is_there()) return {Code::kOutOfMemory, "Could not allocate scratch memory for the logits on cpu."};
  for_runs_of_rows(params.batch, threads, [&](int slot, int64_t first_row, int64_t rows) {
    for (int64_t row = first_row; row < first_row + rows; ++row) sample_row(params, passes, row, scratch, slot);
  });
  return {};
}

}  // namespace selective_scan
