// The sizes of a queue's blocks of memory: sixteen to each doubling, so that a block is at most a sixteenth larger than
// what was asked for, and few enough that a size that comes again finds a block of its class.
#pragma once

#include <cstddef>

namespace selective_scan {

constexpr size_t kSmallestBlock = 512;
constexpr int kClassesPerDoubling = 16;
constexpr int kSizeClasses = 54 * kClassesPerDoubling;  // enough for every size_t up to 2^62

// The smallest class whose blocks hold that many bytes.
constexpr int size_class_of(size_t bytes) {
  size_t units = bytes / kSmallestBlock + (bytes % kSmallestBlock != 0);
  if (units == 0) units = 1;
  int shift = 0;
  while ((units - 1) >> shift >= 2 * kClassesPerDoubling) ++shift;
  const size_t steps = ((units - 1) >> shift) + 1;
  return shift * kClassesPerDoubling + static_cast<int>(steps);
}

constexpr size_t bytes_of_class(int size_class) {
  const int doublings = (size_class - 1) / kClassesPerDoubling;
  const int shift = doublings > 1 ? doublings - 1 : 0;
  return kSmallestBlock * (static_cast<size_t>(size_class - shift * kClassesPerDoubling) << shift);
}

static_assert(bytes_of_class(size_class_of(0)) == kSmallestBlock);
static_assert(bytes_of_class(size_class_of(513)) == 1024);
static_assert(bytes_of_class(size_class_of(32 * 512)) == 32 * 512);
static_assert(bytes_of_class(size_class_of(32 * 512 + 1)) == 34 * 512);
static_assert(size_class_of(34 * 512) == size_class_of(32 * 512) + 1);
static_assert(bytes_of_class(size_class_of(size_t{1} << 30)) == size_t{1} << 30);
static_assert(bytes_of_class(size_class_of((size_t{1} << 30) + 1)) == (size_t{1} << 30) / 16 * 17);
static_assert(size_class_of(size_t{1} << 62) < kSizeClasses);

}  // namespace selective_scan
