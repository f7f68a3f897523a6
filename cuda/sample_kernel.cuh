// How the token of a row is chosen. Each pass reads the row anew, which a multiprocessor gets from the cache after the
// first; only integers are summed up, so that it does not show how a row is shared out.
#pragma once

#include <cmath>

#include "early_launch.cuh"
#include "row_team.cuh"
#include "sample_ranking.cuh"

namespace selective_scan {

struct SampleMaxima {
  float raw;        // of the logits as they came
  float penalised;  // of those that tokens are chosen by
  int token;        // the first of the latter's; -1 where there is none to choose
};

__device__ __forceinline__ SampleMaxima find_maxima(const LogitRow& part, RowTeam& team) {
  constexpr uint32_t kInfinity = 0xff800000u;  // the orders of the infinities
  constexpr uint32_t kMinusInfinity = 0x007fffffu;
  constexpr uint32_t kNan = ~0u;  // above all of them
  uint32_t best = 0;
  int index = 0;
  float best_raw = -INFINITY;
  part.each<kRowVector>([&](int i, float raw, float logit) {
    const uint32_t order = logit != logit ? kNan : order_of(logit);
    if (order > best) {
      best = order;
      index = i;
    }
    best_raw = fmaxf(best_raw, raw);
  });
  const uint64_t place = static_cast<uint64_t>(best) << 32 | ~static_cast<uint32_t>(index);
  const uint64_t first = team.combine(place, Greater());
  const auto order = static_cast<uint32_t>(first >> 32);
  const bool has_token = order > kMinusInfinity && order <= kInfinity;
  SampleMaxima maxima;
  maxima.penalised = float_of_order(order);
  maxima.token = has_token ? static_cast<int>(~static_cast<uint32_t>(first)) : -1;
  maxima.raw = maxima.penalised;
  if (part.has_penalties()) {
    const uint64_t raw = team.combine(static_cast<uint64_t>(order_of(best_raw)), Greater());
    maxima.raw = float_of_order(static_cast<uint32_t>(raw));
  }
  return maxima;
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

// The logarithm of the sum of the probabilities of the logits as they came, the greatest one's being 1.
__device__ __forceinline__ double log_of_sum(const LogitRow& part, float maximum, RowTeam& team) {
  const float scale = scale_of(1);
  uint64_t sum = 0;
  part.each([&](int, float raw, float) { sum += weight_of(exponent_of(raw, maximum, scale)); });
  sum = team.combine(sum, Add());
  return log(static_cast<double>(sum) / static_cast<double>(int64_t{1} << kWeightBits));
}

// Blocks of a team share what has to be done with all logits; the first of them does the rest.
__global__ void __launch_bounds__(kSampleThreads) sample_rows(const __grid_constant__ SampleParams p) {
  __shared__ TeamMemory team_memory;
  __shared__ RankingMemory memory;
  RowTeam team(team_memory);
  wait_for_earlier_kernels();
  for (int64_t at = blockIdx.x / team.size(); at < p.batch; at += gridDim.x / team.size()) {
    const LogitRow part(p, at, team.rank(), team.size());
    const SampleMaxima maxima = find_maxima(part, team);
    double log_sum = NAN;
    if (maxima.token >= 0 && p.logprobs != nullptr) log_sum = log_of_sum(part, maxima.raw, team);
    if (team.rank() != 0) continue;

    const LogitRow row(p, at);
    auto* const random = reinterpret_cast<uint32_t*>(p.random) + 3 * at;
    int token = maxima.token;
    if (token >= 0 && p.temperature > 0) token = draw_token(p, row, maxima.penalised, random, memory);
    __syncthreads();  // all have read what is raised
    if (threadIdx.x == 0) {
      p.tokens[at] = token;
      if (p.temperature > 0) ++random[2];
      if (p.seen != nullptr && token >= 0) ++reinterpret_cast<uint32_t*>(p.seen)[at * p.vocab + token];
      if (p.logprobs != nullptr) {
        const float logit = token >= 0 ? row.raw(token) : NAN;
        const double above = logit == maxima.raw ? 0.0 : static_cast<double>(logit) - maxima.raw;
        p.logprobs[at] = static_cast<float>(above - log_sum);
      }
    }
  }
}

}  // namespace selective_scan
