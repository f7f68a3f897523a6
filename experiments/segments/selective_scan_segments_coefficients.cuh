// B and C of the segment-parallel scan: widened once to float32 tiles that all quads of the block share. The warps that
// will walk a tile each prepare a share of its units.
#pragma once

#include "selective_scan_segments_io.cuh"

namespace selective_scan {

// B or C of a block's sequence and group, where it varies with time.
template <typename Element>
struct VaryingMatrix {
  const Element* source;  // the first state and step; null if constant
  int64_t pitch;          // elements from one row of the slower axis to the next
  bool vectors;           // every row begins at a 16-byte boundary
};

// One pass over one chunk.
struct TileRange {
  int64_t start;    // first step, counted from the start of the sequence
  int steps;        // that exist
  int first_state;
  int states;       // that exist
  bool whole;       // all of both, of two varying matrices, and copied as whole vectors
};

// The units of a tile that one warp prepares: those of B, then those of C.
struct UnitShare {
  int first;
  int count;
};

template <typename Config>
using Matrices = VaryingMatrix<typename Config::Element>[2];

// Starts the copies of a share. What does not exist becomes 0.
template <typename Config>
__device__ __forceinline__ void fetch_rows_of_states(unsigned char* raw, const Matrices<Config>& matrices,
                                                     const TileRange& range, UnitShare share, unsigned lane) {
  using Element = typename Config::Element;
  constexpr int kVectors = Config::kChunk / Config::kVector;
  constexpr int kRows = 32 / kVectors;
  if (range.whole) {
    const int64_t pitch = matrices[0].pitch;
    const int64_t offset = range.first_state * pitch + range.start + lane % kVectors * Config::kVector;
    const Element* B = matrices[0].source + offset;
    const Element* C = matrices[1].source + offset - Config::kStates * pitch;
    unsigned char* slot = raw + lane / kVectors * Config::kRawRowBytes + lane % kVectors * 16;
#pragma unroll 2
    for (int row = share.first + lane / kVectors; row < share.first + share.count; row += kRows) {
      copy_async_boundary<16>(slot, (row < Config::kStates ? B : C) + row * pitch);
      slot += kRows * Config::kRawRowBytes;
    }
    if (matrices[0].vectors && matrices[1].vectors) return;
  }
  const auto fetch = [&](int unit, int v) {
    const VaryingMatrix<Element>& matrix = matrices[(share.first + unit) / Config::kStates];
    if (Config::kConstant && matrix.source == nullptr) return;
    const int n = (share.first + unit) % Config::kStates;
    const Element* row = matrix.source + (range.first_state + n) * matrix.pitch + range.start;
    fetch_row_vector(raw + unit * Config::kRawRowBytes, row, v, n < range.states ? range.steps : -Config::kChunk);
  };
  if (!range.whole) {
#pragma unroll 1
    for (int i = lane; i < share.count * kVectors; i += 32) fetch(i / kVectors, i % kVectors);
  }
  // A row that does not begin at a boundary reaches into one more vector.
  if (!(matrices[0].vectors && matrices[1].vectors) && static_cast<int>(lane) < share.count) fetch(lane, kVectors);
}

template <typename Config>
__device__ __forceinline__ void fetch_steps_of_states(unsigned char* raw, const Matrices<Config>& matrices,
                                                      const TileRange& range, UnitShare share, unsigned lane) {
  using Element = typename Config::Element;
  constexpr int kVectors = Config::kStates / Config::kVector;
  if (range.whole) {
    constexpr int kTurn = 32 / kVectors;
    const int64_t pitch = matrices[0].pitch;
    const int64_t offset = range.start * pitch + range.first_state + lane % kVectors * Config::kVector;
    const Element* B = matrices[0].source + offset;
    const Element* C = matrices[1].source + offset - Config::kChunk * pitch;
    unsigned char* slot = raw + lane / kVectors * Config::kRawStepBytes + lane % kVectors * 16;
    const int end = 4 * (share.first + share.count);
#pragma unroll 2
    for (int t = 4 * share.first + lane / kVectors; t < end; t += kTurn) {
      copy_async<16>(slot, (t < Config::kChunk ? B : C) + t * pitch);
      slot += kTurn * Config::kRawStepBytes;
    }
    return;
  }
#pragma unroll 1
  for (int i = lane; i < share.count * 4 * kVectors; i += 32) {
    const int step = i / kVectors;
    const int n = i % kVectors * Config::kVector;
    const int t = 4 * share.first + step;
    const VaryingMatrix<Element>& matrix = matrices[t / Config::kChunk];
    if (Config::kConstant && matrix.source == nullptr) continue;
    const int64_t row = t % Config::kChunk;
    const int count = row < range.steps ? clamp_count(range.states - n, Config::kVector) : 0;
    const Element* from = matrix.source;
    if (count > 0) from += (range.start + row) * matrix.pitch + range.first_state + n;
    unsigned char* slot = raw + step * Config::kRawStepBytes + n * Config::kSize;
    if (matrix.vectors) {
      copy_async_part<16>(slot, from, count * Config::kSize);
    } else {
#pragma unroll
      for (int j = 0; j < Config::kVector; ++j) {
        reinterpret_cast<Element*>(slot)[j] = j < count ? from[j] : narrow<Element>(0.0f);
      }
    }
  }
}

template <typename Config>
__device__ __forceinline__ float4* tile_place(unsigned char* tile, int row, int t) {
  return reinterpret_cast<float4*>(tile) +
         (row * Config::kStatePitch + t / Config::kSteps * Config::kSegmentPitch + t % Config::kSteps) / 4;
}

// Widens a share into the tile.
template <typename Config>
__device__ __forceinline__ void widen_rows_of_states(unsigned char* tile, const unsigned char* raw,
                                                     const Matrices<Config>& matrices, const TileRange& range,
                                                     UnitShare share, unsigned lane) {
  using Element = typename Config::Element;
  constexpr int kVector = Config::kVector;
  constexpr int kVectors = Config::kChunk / kVector;
  constexpr int kRows = 32 / kVectors;
  const int t = lane % kVectors * kVector;
  const unsigned char* from = raw + lane / kVectors * Config::kRawRowBytes + t * Config::kSize;
  int row = share.first + lane / kVectors;
  const int end = share.first + share.count;
  const auto widen_row = [&](const float(&values)[kVector]) {
#pragma unroll
    for (int j = 0; j < kVector; j += 4) {
      *tile_place<Config>(tile, row, t + j) = {values[j], values[j + 1], values[j + 2], values[j + 3]};
    }
    from += kRows * Config::kRawRowBytes;
    row += kRows;
  };
  float values[kVector];
  if (matrices[0].vectors && matrices[1].vectors) {
#pragma unroll 2
    while (row < end) {
      read_aligned<Element>(from, values);
      widen_row(values);
    }
  } else {
#pragma unroll 1
    while (row < end) {
      const VaryingMatrix<Element>& matrix = matrices[row / Config::kStates];
      const int64_t n = range.first_state + row % Config::kStates;
      read_unaligned<Element>(from + misalignment(matrix.source + n * matrix.pitch + range.start), values);
      widen_row(values);
    }
  }
}

template <typename Config>
__device__ __forceinline__ void widen_steps_of_states(unsigned char* tile, const unsigned char* raw, UnitShare share,
                                                      unsigned lane) {
  using Slot = Chunk<typename Config::Element, 2>;
  constexpr int kColumns = Config::kStates / 2;
  constexpr int kUnits = 32 / kColumns;
  const int n = lane % kColumns * 2;
  const unsigned char* from = raw + lane / kColumns * (4 * Config::kRawStepBytes) + n * Config::kSize;
  const int end = 4 * (share.first + share.count);
#pragma unroll 2
  for (int t = 4 * (share.first + lane / kColumns); t < end; t += 4 * kUnits) {
    float values[4][2];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      widen_chunk(reinterpret_cast<const Slot*>(from + j * Config::kRawStepBytes), values[j]);
    }
    from += 4 * kUnits * Config::kRawStepBytes;
    const bool second = t >= Config::kChunk;
    const int row = second ? Config::kStates + n : n;
    const int step = second ? t - Config::kChunk : t;
    *tile_place<Config>(tile, row, step) = {values[0][0], values[1][0], values[2][0], values[3][0]};
    *tile_place<Config>(tile, row + 1, step) = {values[0][1], values[1][1], values[2][1], values[3][1]};
  }
}

// Constant B or C of a warp's quad, `channels` of which exist, for one pass.
template <typename Config>
__device__ __forceinline__ void repeat_constant(float4* rows, const float* source, int64_t dstate, int channels,
                                                int first_state, int states, unsigned lane) {
  for (int i = lane; i < Config::kStates * Config::kQuad; i += 32) {
    const int n = i / Config::kQuad;
    const int c = i % Config::kQuad;
    const float value = n < states && c < channels ? source[c * dstate + first_state + n] : 0.0f;
    rows[i] = {value, value, value, value};
  }
}

}  // namespace selective_scan
