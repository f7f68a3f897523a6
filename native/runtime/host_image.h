// How parts of several host arrays lie in one block of device memory, each at an aligned address of its own, so that a
// block is brought or fetched by few large copies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../ops.h"

namespace selective_scan {

// Where a call's arrays are in host memory, by their number in the call; null where absent.
using HostArrays = std::vector<char*>;

// Rows of one array that lie one after the other in the image.
struct Region {
  static constexpr int kZeros = -1;  // in the place of an array

  int array = kZeros;
  size_t host_offset = 0;
  size_t image_offset = 0;
  HostRows rows;

  size_t bytes() const { return rows.bytes * rows.count; }
};

struct HostImage {
  struct Place {
    int array;
    size_t offset;
  };

  std::vector<Place> places;    // where the op finds its arrays
  std::vector<Region> regions;  // what is copied, in the order of the image
  size_t bytes = 0;

  // Room for an array; the offset at which it begins.
  size_t place(int array, size_t bytes);
  // The same, all of which is one part of the host's array: rows that are as long as the stride are one row.
  void add(int array, size_t host_offset, HostRows rows);

  // Writes the addresses of its arrays, when it lies at `base`.
  void locate(void* base, std::vector<void*>* addresses) const;

  // Copies what host arrays have in the bytes of the image from `from` to `to`; bytes that no region covers are left.
  void gather(const HostArrays& arrays, size_t from, size_t to, char* target) const;
  void scatter(const HostArrays& arrays, size_t from, size_t to, const char* source) const;

  // Calls visit(begin, end) for what regions cover of the image from `from` to `to`, until one fails.
  template <typename Visit>
  Status for_each_covered(size_t from, size_t to, const Visit& visit) const {
    for (const Region& region : regions) {
      const size_t begin = std::max(from, region.image_offset);
      const size_t end = std::min(to, region.image_offset + region.bytes());
      if (begin >= end) continue;
      const Status status = visit(begin, end);
      if (!status.ok()) return status;
    }
    return {};
  }
};

}  // namespace selective_scan
