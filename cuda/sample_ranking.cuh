// The end of a prefix of a row's tokens, most probable first, found without sorting them. Tokens are counted, or their
// weights summed up, in bins of exponents (sample_numbers.h). Of those in the bin where the prefix ends, which are few,
// the digits of their logits' bits are counted in the same way, the highest digit first. Sums are of integers, so that
// the order in which threads add to them does not show.
#pragma once

#include "sample_row.cuh"

namespace selective_scan {

// Integers that threads add to, of 64 bits in two words: the carry is that of the thread whose addition overflows.
template <int kCount>
struct SharedSums {
  uint32_t low[kCount];
  uint32_t high[kCount];

  __device__ __forceinline__ void clear() {
    for (int i = threadIdx.x; i < kCount; i += kSampleThreads) low[i] = high[i] = 0;
  }
  __device__ __forceinline__ void add(int i, uint64_t value) {
    const auto part = static_cast<uint32_t>(value);
    const uint32_t carry = atomicAdd(&low[i], part) > ~part ? 1 : 0;
    const uint32_t rest = static_cast<uint32_t>(value >> 32) + carry;
    if (rest != 0) atomicAdd(&high[i], rest);
  }
  __device__ __forceinline__ uint64_t operator[](int i) const { return static_cast<uint64_t>(high[i]) << 32 | low[i]; }
};

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr unsigned kMostListed = 2048;

struct RankingMemory {
  uint32_t bin_counts[kBins];
  SharedSums<kBins> bin_weights;
  uint32_t digit_counts[kDigits];
  SharedSums<kDigits> digit_weights;
  uint32_t listed[kMostListed];  // orders of the logits in one bin
  unsigned listed_count;
  uint64_t sums[kSampleWarps];
};

// The tokens before one logit and some of those that have it.
struct Prefix {
  bool is_all = true;
  uint32_t order = 0;   // of the logit
  uint64_t equals = 0;  // tokens of it that are within
  bool has_all_equals = true;
  uint64_t weight = 0;
};

class Ranking {
 public:
  __device__ __forceinline__ Ranking(const LogitRow& row, float maximum, float scale, RankingMemory& memory)
      : row_(row), maximum_(maximum), scale_(scale), memory_(memory) {}

  // Before the first cut, which all threads have to call, too.
  __device__ __forceinline__ void fill_bins() {
    for (int i = threadIdx.x; i < kBins; i += kSampleThreads) memory_.bin_counts[i] = 0;
    memory_.bin_weights.clear();
    __syncthreads();
    row_.each([&](int, float, float logit) {
      const float exponent = exponent_of(logit, maximum_, scale_);
      const uint64_t weight = weight_of(exponent);
      if (weight == 0) return;
      const int bin = bin_of(exponent);
      atomicAdd(&memory_.bin_counts[bin], 1);
      memory_.bin_weights.add(bin, weight);
    });
    __syncthreads();
  }

  __device__ __forceinline__ uint64_t whole_weight() {
    return sum_below(kBins, [&](int i) { return memory_.bin_weights[i]; });
  }

  // The shortest prefix of at least so many tokens, or of so much weight; all if even theirs is less.
  __device__ __forceinline__ Prefix cut(bool by_weight, uint64_t wanted) {
    const auto bin_count = [&](int i) { return static_cast<uint64_t>(memory_.bin_counts[i]); };
    const auto bin_weight = [&](int i) { return memory_.bin_weights[i]; };
    Before before;
    const int bin = before.advance(*this, by_weight, kBins, wanted, bin_count, bin_weight);
    Prefix prefix;
    prefix.weight = before.weight;
    if (bin == kBins) return prefix;
    list(bin);
    prefix.is_all = false;
#pragma unroll 1
    for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
      count_digits(bin, prefix.order, shift);
      const auto count = [&](int i) { return static_cast<uint64_t>(memory_.digit_counts[i]); };
      const auto weight = [&](int i) { return memory_.digit_weights[i]; };
      const int digit = before.advance(*this, by_weight, kDigits, wanted, count, weight);
      prefix.order |= static_cast<uint32_t>(kDigits - 1 - digit) << shift;
      prefix.equals = memory_.digit_counts[digit];
    }
    const uint64_t all_equals = prefix.equals;
    const uint64_t weight = weight_of(exponent_at(prefix.order));
    prefix.equals = by_weight ? (wanted - before.weight + weight - 1) / weight : wanted - before.count;
    prefix.has_all_equals = prefix.equals == all_equals;
    prefix.weight = before.weight + prefix.equals * weight;
    return prefix;
  }

  // The rank of a prefix's last token.
  __device__ __forceinline__ uint64_t last_rank(const Prefix& prefix) {
    if (prefix.is_all) return ~uint64_t{0};
    if (prefix.has_all_equals) return rank_of(prefix.order, ~0u);
    const auto is_equal = [&](int i) { return order_of(row_[i]) == prefix.order ? uint64_t{1} : uint64_t{0}; };
    const Place place =
        find_place<4>(row_.vocab(), memory_.sums, is_equal, [&](uint64_t) { return prefix.equals - 1; });
    return rank_of(prefix.order, static_cast<uint32_t>(place.index));
  }

 private:
  // What is within a prefix so far.
  struct Before {
    uint64_t count = 0;  // not kept where weights decide
    uint64_t weight = 0;

    // Goes on to the bin, of so many, in which the prefix ends.
    template <typename Count, typename Weight>
    __device__ __forceinline__ int advance(Ranking& ranking, bool by_weight, int bins, uint64_t wanted,
                                           const Count& count_in, const Weight& weight_in) {
      const auto measure = [&](int i) { return by_weight ? weight_in(i) : count_in(i); };
      const uint64_t reached = by_weight ? weight : count;
      const Place place =
          find_place<1>(bins, ranking.memory_.sums, measure, [&](uint64_t) { return wanted - reached - 1; });
      count += by_weight ? 0 : place.before;
      weight += by_weight ? place.before : ranking.sum_below(place.index, weight_in);
      return place.index;
    }
  };

  __device__ __forceinline__ float exponent_at(uint32_t order) const {
    return exponent_of(float_of_order(order), maximum_, scale_);
  }

  __device__ __forceinline__ bool is_in(int bin, float logit) const {
    const float exponent = exponent_of(logit, maximum_, scale_);
    return bin_of(exponent) == bin && weight_of(exponent) != 0;
  }

  template <typename Measure>
  __device__ __forceinline__ uint64_t sum_below(int end, const Measure& measure) {
    uint64_t sum = 0;
    for (int i = threadIdx.x; i < end; i += kSampleThreads) sum += measure(i);
    return combine_block(sum, uint64_t{0}, memory_.sums, Add());
  }

  // Of a bin with more tokens than the list has room for, only their number is known.
  __device__ __forceinline__ void list(int bin) {
    __syncthreads();
    if (threadIdx.x == 0) memory_.listed_count = 0;
    __syncthreads();
    row_.each([&](int, float, float logit) {
      if (!is_in(bin, logit)) return;
      const unsigned place = atomicAdd(&memory_.listed_count, 1);
      if (place < kMostListed) memory_.listed[place] = order_of(logit);
    });
    __syncthreads();
  }

  // Of the digits at `shift` of the bin's tokens that have the digits of `prefix` above it; the greatest digit first.
  __device__ __forceinline__ void count_digits(int bin, uint32_t prefix, int shift) {
    __syncthreads();
    for (int i = threadIdx.x; i < kDigits; i += kSampleThreads) memory_.digit_counts[i] = 0;
    memory_.digit_weights.clear();
    __syncthreads();
    const auto count = [&](uint32_t order) {
      if ((static_cast<uint64_t>(order ^ prefix) >> (shift + kDigitBits)) != 0) return;
      const int digit = kDigits - 1 - static_cast<int>(order >> shift & (kDigits - 1));
      atomicAdd(&memory_.digit_counts[digit], 1);
      memory_.digit_weights.add(digit, weight_of(exponent_at(order)));
    };
    if (memory_.listed_count > kMostListed) {
      for (int i = threadIdx.x; i < row_.vocab(); i += kSampleThreads) {
        const float logit = row_[i];
        if (is_in(bin, logit)) count(order_of(logit));
      }
    } else {
      for (unsigned i = threadIdx.x; i < memory_.listed_count; i += kSampleThreads) count(memory_.listed[i]);
    }
    __syncthreads();
  }

  const LogitRow& row_;
  const float maximum_;
  const float scale_;
  RankingMemory& memory_;
};

}  // namespace selective_scan
