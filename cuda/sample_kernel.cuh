// A block chooses the token of a row. Each of its passes reads the row anew, which a multiprocessor gets from the cache
// after the first; only integers are summed up.
#pragma once

#include <cmath>

#include "early_launch.cuh"
#include "sample_ranking.cuh"

namespace selective_scan {

struct SampleMaxima {
  float raw;        // of the logits as they came
  float penalised;  // of those that tokens are chosen by
  int token;        // the first of the latter's; -1 where there is none to choose
};

__device__ __forceinline__ SampleMaxima find_maxima(const LogitRow& row, uint64_t* shared) {
  constexpr uint32_t kInfinity = 0xff800000u;  // the orders of the infinities
  constexpr uint32_t kMinusInfinity = 0x007fffffu;
  uint64_t best = 0;
  uint32_t best_raw = 0;
  row.each([&](int i, float raw, float logit) {
    const uint64_t place = static_cast<uint64_t>(order_of(logit)) << 32 | ~static_cast<uint32_t>(i);
    best = Greater()(best, logit != logit ? ~uint64_t{0} : place);
    best_raw = Greater()(best_raw, order_of(raw));
  });
  best = combine_block(best, uint64_t{0}, shared, Greater());
  const uint64_t raw = combine_block(static_cast<uint64_t>(best_raw), uint64_t{0}, shared, Greater());
  const auto order = static_cast<uint32_t>(best >> 32);
  const bool has_token = order > kMinusInfinity && order <= kInfinity;
  return {float_of_order(static_cast<uint32_t>(raw)), float_of_order(order),
          has_token ? static_cast<int>(~static_cast<uint32_t>(best)) : -1};
}

__device__ __forceinline__ int draw_token(const SampleParams& p, const LogitRow& row, float maximum,
                                          const uint32_t* random, RankingMemory& memory) {
  const float scale = scale_of(p.temperature);
  uint64_t last_rank = ~uint64_t{0};
  if ((p.top_k > 0 && p.top_k < p.vocab) || p.top_p < 1) {
    Ranking ranking(row, maximum, scale, memory);
    ranking.fill_bins();
    Prefix prefix;
    prefix.weight = ranking.whole_weight();
    // One place in the code for both, as it is long.
#pragma unroll 1
    for (int filter = 0; filter < 2; ++filter) {
      const bool is_top_p = filter == 1;
      if (is_top_p ? p.top_p == 1 : p.top_k == 0) continue;
      prefix = ranking.cut(is_top_p, is_top_p ? share_of(prefix.weight, p.top_p) : static_cast<uint64_t>(p.top_k));
    }
    last_rank = ranking.last_rank(prefix);
  }
  const uint64_t least = least_weight(p.min_p);
  const auto kept_weight = [&](int i) {
    const float logit = row[i];
    const uint64_t weight = weight_of(exponent_of(logit, maximum, scale));
    const bool is_kept = weight >= least && rank_of(order_of(logit), static_cast<uint32_t>(i)) <= last_rank;
    return is_kept ? weight : uint64_t{0};
  };
  const uint64_t bits = philox(random[0], random[1], random[2]);
  return find_place<8>(row.vocab(), memory.sums, kept_weight, [&](uint64_t all) { return fraction_of(all, bits); })
      .index;
}

// The log softmax, at a token, of the logits as they came.
__device__ __forceinline__ float log_probability(const LogitRow& row, float maximum, int token, uint64_t* shared) {
  const float scale = scale_of(1);
  uint64_t sum = 0;
  row.each([&](int, float raw, float) { sum += weight_of(exponent_of(raw, maximum, scale)); });
  sum = combine_block(sum, uint64_t{0}, shared, Add());
  const float logit = row.raw(token);
  const double log_sum = log(static_cast<double>(sum) / static_cast<double>(int64_t{1} << kWeightBits));
  return static_cast<float>((logit == maximum ? 0.0 : static_cast<double>(logit) - maximum) - log_sum);
}

__global__ void __launch_bounds__(kSampleThreads) sample_rows(const __grid_constant__ SampleParams p) {
  __shared__ RankingMemory memory;
  wait_for_earlier_kernels();
  for (int64_t at = blockIdx.x; at < p.batch; at += gridDim.x) {
    const LogitRow row(p, at);
    const SampleMaxima maxima = find_maxima(row, memory.sums);
    auto* const random = reinterpret_cast<uint32_t*>(p.random) + 3 * at;
    int token = maxima.token;
    if (token >= 0 && p.temperature > 0) token = draw_token(p, row, maxima.penalised, random, memory);
    float logprob = NAN;
    if (token >= 0 && p.logprobs != nullptr) logprob = log_probability(row, maxima.raw, token, memory.sums);
    __syncthreads();  // all have read what is raised
    if (threadIdx.x == 0) {
      p.tokens[at] = token;
      if (p.temperature > 0) ++random[2];
      if (p.seen != nullptr && token >= 0) ++reinterpret_cast<uint32_t*>(p.seen)[at * p.vocab + token];
      if (p.logprobs != nullptr) p.logprobs[at] = logprob;
    }
  }
}

}  // namespace selective_scan
