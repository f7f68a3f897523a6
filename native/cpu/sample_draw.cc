#include "sample_draw.h"

#include <algorithm>
#include <limits>

#include "../ops/sample_numbers.h"

namespace selective_scan {
namespace {

constexpr uint64_t kAllRanks = std::numeric_limits<uint64_t>::max();

// Finds the last token of a prefix of the ranking without sorting it all: tokens are counted in bins of exponents, and
// only those of the bin in which the prefix ends are sorted.
class Ranking {
 public:
  Ranking(const SampleParams& params, const SampleRow& row)
      : params_(params), row_(row), scale_(scale_of(params.temperature)) {
    for (int64_t i = 0; i < params.vocab; ++i) {
      const uint64_t weight = weight_of_share(row.shares[i]);
      if (weight == 0) continue;
      Bin& bin = bins_[bin_at(i)];
      ++bin.count;
      bin.weight += weight;
    }
  }

  // The rank of the last token that top_k and top_p keep.
  uint64_t last_kept() {
    uint64_t last = kAllRanks;
    uint64_t total = 0;
    if (params_.top_k > 0) {
      last = cut(&Bin::count, static_cast<uint64_t>(params_.top_k), &total);
    } else {
      for (const Bin& bin : bins_) total += bin.weight;
    }
    if (params_.top_p < 1) last = cut(&Bin::weight, share_of(total, params_.top_p), &total);
    return last;
  }

 private:
  struct Bin {
    uint64_t count = 0;
    uint64_t weight = 0;
  };

  int bin_at(int64_t i) const { return bin_of(exponent_of(row_.logits[i], row_.maximum, scale_)); }

  // The shortest prefix whose count or weight is at least so much; all tokens if even theirs is less. Also its weight.
  uint64_t cut(uint64_t Bin::* measure, uint64_t wanted, uint64_t* weight) {
    Bin sum;
    int bin = 0;
    for (; bin < kBins && sum.*measure + bins_[bin].*measure < wanted; ++bin) {
      sum.count += bins_[bin].count;
      sum.weight += bins_[bin].weight;
    }
    *weight = sum.weight;
    if (bin == kBins) return kAllRanks;
    sort_bin(bin);
    for (int64_t i = 0; i < sorted_; ++i) {
      ++sum.count;
      sum.weight += weight_of_share(row_.shares[static_cast<uint32_t>(row_.ranks[i])]);
      *weight = sum.weight;
      if (sum.*measure >= wanted) return row_.ranks[i];
    }
    return kAllRanks;
  }

  void sort_bin(int bin) {
    if (bin == sorted_bin_) return;
    sorted_bin_ = bin;
    sorted_ = 0;
    for (int64_t i = 0; i < params_.vocab; ++i) {
      if (weight_of_share(row_.shares[i]) == 0 || bin_at(i) != bin) continue;
      row_.ranks[sorted_++] = rank_of(order_of(row_.logits[i]), static_cast<uint32_t>(i));
    }
    std::sort(row_.ranks, row_.ranks + sorted_);
  }

  const SampleParams& params_;
  const SampleRow& row_;
  const float scale_;
  Bin bins_[kBins];
  int sorted_bin_ = -1;
  int64_t sorted_ = 0;
};

}  // namespace

bool sample_needs_ranks(const SampleParams& params) {
  return params.temperature > 0 && ((params.top_k > 0 && params.top_k < params.vocab) || params.top_p < 1);
}

int32_t draw_token(const SampleParams& params, const SampleRow& row, uint64_t bits) {
  const uint64_t least = least_weight(params.min_p);
  const uint64_t last = sample_needs_ranks(params) ? Ranking(params, row).last_kept() : kAllRanks;
  const auto kept_weight = [&](int64_t i) {
    const uint64_t weight = weight_of_share(row.shares[i]);
    if (weight < least) return uint64_t{0};
    if (last == kAllRanks) return weight;
    return rank_of(order_of(row.logits[i]), static_cast<uint32_t>(i)) <= last ? weight : 0;
  };
  uint64_t total = 0;
  for (int64_t i = 0; i < params.vocab; ++i) total += kept_weight(i);
  uint64_t left = fraction_of(total, bits);
  for (int64_t i = 0; i < params.vocab; ++i) {
    const uint64_t weight = kept_weight(i);
    if (left < weight) return static_cast<int32_t>(i);
    left -= weight;
  }
  return -1;
}

}  // namespace selective_scan
