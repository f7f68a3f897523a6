// Sampling on random rows against a plain search: the same weights, but of tokens that are sorted.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "../../cuda/sample_kernel.cuh"
#include "block.h"
#include "scan_problem.h"

namespace emulator {

// The token of a row whose logits have their penalties, which are all finite.
inline int plain_token(const selective_scan::SampleParams& p, const std::vector<float>& logits, uint64_t bits) {
  using namespace selective_scan;
  const float maximum = *std::max_element(logits.begin(), logits.end());
  std::vector<int> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return logits[i] > logits[j]; });
  if (p.temperature == 0) return order[0];
  const auto weight = [&](int i) { return weight_of(exponent_of(logits[i], maximum, scale_of(p.temperature))); };
  const auto total = [&] {
    uint64_t sum = 0;
    for (const int i : order) sum += weight(i);
    return sum;
  };
  if (p.top_k > 0 && p.top_k < static_cast<int64_t>(order.size())) order.resize(p.top_k);
  if (p.top_p < 1) {
    const uint64_t share = share_of(total(), p.top_p);
    uint64_t sum = 0;
    size_t kept = 0;
    while (sum < share) sum += weight(order[kept++]);
    order.resize(kept);
  }
  const auto is_left_out = [&](int i) { return weight(i) < least_weight(p.min_p); };
  order.erase(std::remove_if(order.begin(), order.end(), is_left_out), order.end());
  std::sort(order.begin(), order.end());
  uint64_t left = fraction_of(total(), bits);
  for (const int i : order) {
    if (left < weight(i)) return i;
    left -= weight(i);
  }
  return -1;
}

template <typename Element>
void check_sample(selective_scan::DType dtype, std::mt19937& random) {
  using Use = DeviceArray::Use;
  const auto choose = [&](auto... choices) {
    const double all[] = {static_cast<double>(choices)...};
    return all[random() % sizeof...(choices)];
  };
  selective_scan::SampleParams p;
  p.batch = 3;
  p.vocab = static_cast<int64_t>(choose(1, 31, 33, 1000, 1025, 5000, 9001));
  p.dtype = dtype;
  p.temperature = choose(0, 0.3, 1, 20);
  p.top_k = static_cast<int64_t>(choose(0, 0, 5, 40, 3000));
  p.top_p = choose(1, 1, 0, 0.3, 0.9);
  p.min_p = choose(0, 0, 0.05, 1);
  p.repetition_penalty = static_cast<float>(choose(1, 1.3, 0.7));
  const float spread = static_cast<float>(choose(0, 1, 8));
  const size_t count = static_cast<size_t>(p.batch * p.vocab);
  Numbers logits(count, dtype, Use::kInput);
  logits.draw(-spread, spread, random);
  DeviceArray seen(4 * count, Use::kInput), numbers(4 * 3 * p.batch, Use::kInput), tokens(4 * p.batch, Use::kOutput);
  auto* const counts = static_cast<int32_t*>(seen.data());
  auto* const words = static_cast<int32_t*>(numbers.data());
  for (size_t i = 0; i < count; ++i) counts[i] = static_cast<int32_t>(random() % 4) - 1;
  for (int64_t i = 0; i < 3 * p.batch; ++i) words[i] = static_cast<int32_t>(random());
  describe_case("sample " + std::to_string(p.vocab) + " tokens, temperature " + std::to_string(p.temperature) +
                ", top_k " + std::to_string(p.top_k) + ", top_p " + std::to_string(p.top_p) + ", min_p " +
                std::to_string(p.min_p) + ", penalty " + std::to_string(p.repetition_penalty) + ", logits to " +
                std::to_string(spread));

  std::vector<int> want;
  for (int64_t row = 0; row < p.batch; ++row) {
    std::vector<float> penalised(p.vocab);
    for (int64_t i = 0; i < p.vocab; ++i) {
      const float logit = static_cast<float>(logits[row * p.vocab + i]);
      const bool is_seen = p.repetition_penalty != 1 && counts[row * p.vocab + i] > 0;
      penalised[i] = is_seen ? selective_scan::penalised(logit, p.repetition_penalty) : logit;
    }
    const auto* const key = reinterpret_cast<const uint32_t*>(words) + 3 * row;
    want.push_back(plain_token(p, penalised, selective_scan::philox(key[0], key[1], key[2])));
  }

  p.logits = logits.data();
  p.seen = counts;
  p.random = words;
  p.tokens = static_cast<int32_t*>(tokens.data());
  gridDim.x = 2;
  for (unsigned block = 0; block < 2; ++block) {
    run_block(block, selective_scan::kSampleThreads, random, [&] { selective_scan::sample_rows(p); });
  }
  for (int64_t row = 0; row < p.batch; ++row) {
    if (p.tokens[row] == want[row]) continue;
    fail("row " + std::to_string(row) + " has token " + std::to_string(p.tokens[row]) + " instead of " +
         std::to_string(want[row]));
  }
  tokens.check("tokens");
  seen.check("seen");
  numbers.check("random");
}

}  // namespace emulator
