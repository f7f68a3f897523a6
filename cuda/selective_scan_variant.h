// What a plan of a scan is made of.
#pragma once

#include <cstdint>

namespace selective_scan {

// The variants of the lane scan, and of the specialised scan, which is for few rows, are named by the lanes that share
// a channel times the states of each. The others keep what neither does: complex states, more states than 256, and more
// than 64 with constant B or C. They are named by the states of a channel that one pass holds; a larger dstate takes
// several passes a tile.
enum class ScanVariant {
  kLane8,
  kLane16,
  kLanes2x8,
  kLanes4x4,
  kLanes2x16,
  kLanes4x16,
  kLanes8x16,
  kLanes16x16,
  kSpecialized64,
  kSpecialized32,
  kReal32,
  kComplex16
};

// Shared memory that kernels declare beside what is asked for at launch, at most.
constexpr int64_t kStaticSharedBytes = 1 << 10;

struct ScanPlan {
  ScanVariant variant;
  int capacity;       // states of a channel that a pass holds
  int warp_channels;  // channels a warp owns
  int warps;          // a block; of a specialised scan, those that own channels
};

// What a choice has to know of a device; by default an H200.
struct DeviceShape {
  int multiprocessors = 132;
  int64_t shared_bytes = 226 << 10;  // that a block can ask for at launch
  int capability = 90;               // ten times the compute capability that its code was compiled for
};

// Code that a compute capability has too little shared memory to use well is left out of the binary: it would be a
// tenth of it. 7.5 has no asynchronous copies either.
constexpr bool has_specialized_scan(int capability) { return capability >= 80; }
constexpr bool has_long_tiles(int capability) { return capability == 80 || (capability >= 90 && capability < 120); }
constexpr int64_t most_shared_bytes(int capability) {
  const int64_t kilobytes = capability < 80 ? 64 : capability == 80 ? 163 : has_long_tiles(capability) ? 227 : 99;
  return (kilobytes << 10) - kStaticSharedBytes;
}

}  // namespace selective_scan
