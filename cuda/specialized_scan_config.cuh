// The compile-time shape of a specialised scan, and where things lie in a block's shared memory.
#pragma once

#include "selective_scan_args.cuh"
#include "specialized_scan_plan.h"
#include "tile_io.cuh"

namespace selective_scan {

template <typename Element_, Layout layout, ScanVariant variant>
struct SpecializedConfig {
  using Element = Element_;
  static constexpr Layout kLayout = layout;
  static constexpr bool kBdl = layout == Layout::kBDL;
  static constexpr int kSize = sizeof(Element);
  static constexpr SpecializedShape kShape = specialized_shape(variant, kSize);
  static constexpr int kTile = kShape.tile;  // steps
  static constexpr int kMostThreads = specialized_threads(kShape, kSize, kShape.most_walkers);

#ifdef __CUDA_ARCH__
  static constexpr bool kExists = variant == ScanVariant::kSpecialized64 ? has_long_tiles(__CUDA_ARCH__ / 10)
                                                                         : has_specialized_scan(__CUDA_ARCH__ / 10);
#else
  static constexpr bool kExists = true;
#endif

  static constexpr int kStates = kWalkerStates;  // of a lane
  static constexpr int kLanes = kWalkerLanes;    // of a channel
  static constexpr int kCapacity = kStates * kLanes;
  static constexpr int kPiece = kSpecializedPiece;
  static constexpr int kPieceBytes = kPiece * kSize;
  static constexpr int kPieces = specialized_pieces(kSize);  // of a thread
  static constexpr int kStepPitch = SpecializedMemory::step_pitch(kTile);
  static constexpr int kWidePitch = SpecializedMemory::wide_pitch(layout, kTile);
};

// The parts of a block's shared memory, by the tile.
class BlockMemory {
 public:
  __device__ __forceinline__ explicit BlockMemory(const SpecializedMemory& memory) : m(memory) {}

  __device__ __forceinline__ unsigned char* u(unsigned tile) const {
    return block_memory() + tile % SpecializedMemory::kLongSlots * m.array_bytes;
  }
  __device__ __forceinline__ unsigned char* z(unsigned tile) const { return u(tile) + m.z_at; }
  __device__ __forceinline__ unsigned char* delta(unsigned tile) const {
    return block_memory() + m.delta_at + tile % SpecializedMemory::kShortSlots * m.array_bytes;
  }
  // B (0) or C (1) as fetched.
  __device__ __forceinline__ unsigned char* matrix(unsigned tile, int which) const {
    return block_memory() + m.matrices_at + (tile % SpecializedMemory::kShortSlots * 2 + which) * m.matrix_bytes;
  }
  // The same in float32.
  __device__ __forceinline__ float* wide(unsigned tile, int which) const {
    return floats(m.wide_at) + (tile % SpecializedMemory::kStepSlots * 2 + which) * m.wide_floats;
  }
  __device__ __forceinline__ float* dt(unsigned tile) const {
    return floats(m.steps_at) + tile % SpecializedMemory::kStepSlots * 2 * m.step_floats;
  }
  __device__ __forceinline__ float* du(unsigned tile) const { return dt(tile) + m.step_floats; }
  __device__ __forceinline__ float* sums(unsigned tile) const {
    return floats(m.sums_at) + tile % SpecializedMemory::kSumSlots * m.sum_floats;
  }

  const SpecializedMemory& m;

 private:
  static __device__ __forceinline__ float* floats(int at) { return reinterpret_cast<float*>(block_memory() + at); }
};

// Which channels a block has, and when.
struct BlockPlace {
  int64_t piece;
  int64_t group;
  int64_t first_channel;
  int channels;  // of the block, that exist
  PieceSpan span;
};

// Whether no piece that a tile's copies touch has an element past the end of its array. Where rows are not aligned a
// piece may hang over the end of one, by less than the steps more that then have to exist: two pieces of them, since in
// 'bld' a step may be a single element.
template <typename Config>
__device__ __forceinline__ bool is_inside(const BlockPlace& place, int64_t start, bool aligned) {
  return start + Config::kTile + (aligned ? 0 : 2 * Config::kPiece) <= place.span.length;
}

// Starts the copy of a piece at a boundary of pieces.
template <typename Config>
__device__ __forceinline__ void copy_piece(unsigned char* target, const void* array, int64_t at) {
  copy_async<Config::kPieceBytes>(target, static_cast<const typename Config::Element*>(array) + at);
}

// The same, as far as the array goes.
template <typename Config>
__device__ __forceinline__ void copy_existing(unsigned char* target, const void* array, int64_t at, int64_t end) {
  using Element = typename Config::Element;
  if (at + Config::kPiece <= end) {
    copy_piece<Config>(target, array, at);
    return;
  }
#pragma unroll 1
  for (; at < end; ++at, target += Config::kSize) {
    *reinterpret_cast<Element*>(target) = static_cast<const Element*>(array)[at];
  }
}

// A piece of an array in shared memory, which starts `shift` elements beyond a boundary of pieces; 0 if kAligned.
template <typename Config, bool kAligned>
__device__ __forceinline__ void read_piece(const unsigned char* boundary, int shift, float (&values)[Config::kPiece]) {
  using Piece = Chunk<typename Config::Element, Config::kPiece>;
  const auto* const pieces = reinterpret_cast<const Piece*>(boundary);
  if constexpr (kAligned) {
    widen_chunk(pieces, values);
  } else {
    constexpr int kWords = Piece::kWords;
    const Piece first = pieces[0];
    const Piece second = pieces[1];
    uint32_t words[2 * kWords];
#pragma unroll
    for (int w = 0; w < kWords; ++w) {
      words[w] = first.words[w];
      words[kWords + w] = second.words[w];
    }
    const int bits = shift * Config::kSize * 8;
#pragma unroll
    for (int step = kWords / 2; step > 0; step /= 2) {
#pragma unroll
      for (int w = 0; w + step < 2 * kWords; ++w) words[w] = (bits & 32 * step) != 0 ? words[w + step] : words[w];
    }
    Piece piece;
#pragma unroll
    for (int w = 0; w < kWords; ++w) piece.words[w] = __funnelshift_r(words[w], words[w + 1], bits);
    widen_chunk(&piece, values);
  }
}

// Elements that do not exist, beyond the first `count`, become 0.
template <int kPiece>
__device__ __forceinline__ void clear_beyond(int count, float (&values)[kPiece]) {
#pragma unroll
  for (int j = 0; j < kPiece; ++j) values[j] = j < count ? values[j] : 0.0f;
}

}  // namespace selective_scan
