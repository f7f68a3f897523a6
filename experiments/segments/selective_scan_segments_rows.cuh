// u, delta, z and out of the segment-parallel scan: a warp moves a chunk of its quad through shared memory of its own.
#pragma once

#include "selective_scan_segments_io.cuh"

namespace selective_scan {

// A chunk of a quad.
struct QuadChunk {
  int64_t origin;  // of the first channel and step, in elements
  int64_t pitch;   // elements from one row of the slower axis to the next
  int channels;    // that exist, at most kQuad
  int steps;       // that exist, at most kChunk
  bool whole;      // all of both, and copied as whole vectors
};

// How the rows of u, delta, z and out lie in memory.
struct RowAlignment {
  bool bdl;
  bool vectors;  // 'bdl': rows begin at 16-byte boundaries; 'bld': a quad's part of a row is an aligned vector
};

// Starts the copies of a chunk of u, delta or z. What does not exist becomes 0.
template <typename Config>
__device__ __forceinline__ void fetch_quad(unsigned char* tile, const void* base, const QuadChunk& chunk,
                                           RowAlignment alignment, unsigned lane) {
  using Element = typename Config::Element;
  const auto* source = static_cast<const Element*>(base) + chunk.origin;
  if (chunk.whole) {
    if (alignment.bdl) {
      constexpr int kVectors = Config::kChunk / Config::kVector;
      constexpr int kRows = 32 / kVectors;
      const int c = lane / kVectors;
      const int v = lane % kVectors;
      const Element* from = source + c * chunk.pitch + v * Config::kVector;
      unsigned char* slot = tile + c * Config::kRowBytes + 16 * v;
#pragma unroll
      for (int i = 0; i < Config::kQuad / kRows; ++i) {
        copy_async_boundary<16>(slot + i * (kRows * Config::kRowBytes), from);
        from += kRows * chunk.pitch;
      }
      // A row that does not begin at a boundary reaches into one more vector.
      if (!alignment.vectors && lane < Config::kQuad) {
        fetch_row_vector(tile + lane * Config::kRowBytes, source + lane * chunk.pitch, kVectors, Config::kChunk);
      }
    } else {
      const Element* from = source + lane * chunk.pitch;
      unsigned char* slot =
          tile + lane / Config::kSteps * Config::kSegmentBytes + lane % Config::kSteps * Config::kStepBytes;
#pragma unroll
      for (int i = 0; i < Config::kChunk / 32; ++i) {
        copy_async<Config::kStepBytes>(slot + i * (32 / Config::kSteps * Config::kSegmentBytes), from);
        from += 32 * chunk.pitch;
      }
    }
    return;
  }
  if (alignment.bdl) {
    constexpr int kVectors = Config::kChunk / Config::kVector;
    constexpr int kTurns = Config::kQuad * kVectors / 32;
#pragma unroll 1
    for (int i = 0; i < kTurns; ++i) {
      const int c = (lane + 32 * i) / kVectors;
      fetch_row_vector(tile + c * Config::kRowBytes, source + c * chunk.pitch, (lane + 32 * i) % kVectors,
                       c < chunk.channels ? chunk.steps : -Config::kChunk);
    }
    // A row that does not begin at a boundary reaches into one more vector.
    if (!alignment.vectors && lane < Config::kQuad) {
      fetch_row_vector(tile + lane * Config::kRowBytes, source + lane * chunk.pitch, kVectors,
                       static_cast<int>(lane) < chunk.channels ? chunk.steps : -Config::kChunk);
    }
    return;
  }
#pragma unroll 1
  for (int i = 0; i < Config::kChunk / 32; ++i) {
    const int t = lane + 32 * i;
    unsigned char* slot = tile + t / Config::kSteps * Config::kSegmentBytes + t % Config::kSteps * Config::kStepBytes;
    const Element* from = source + t * chunk.pitch;
    const bool exists = t < chunk.steps;
    if (alignment.vectors) {
      copy_async_part<Config::kStepBytes>(slot, exists ? from : source, exists ? chunk.channels * Config::kSize : 0);
    } else {
#pragma unroll
      for (int c = 0; c < Config::kQuad; ++c) {
        reinterpret_cast<Element*>(slot)[c] = exists && c < chunk.channels ? from[c] : narrow<Element>(0.0f);
      }
    }
  }
}

// This lane's steps of a chunk of u, delta or z.
template <typename Config>
__device__ __forceinline__ void read_steps(const unsigned char* tile, const void* base, const QuadChunk& chunk,
                                           RowAlignment alignment, unsigned lane, float (&values)[Config::kSteps]) {
  using Element = typename Config::Element;
  const int channel = lane % Config::kQuad;
  const int segment = lane / Config::kQuad;
  if (alignment.bdl) {
    const unsigned char* from = tile + channel * Config::kRowBytes + segment * Config::kSteps * Config::kSize;
    if (alignment.vectors) {
      read_aligned<Element>(from, values);
    } else {
      from += misalignment(static_cast<const Element*>(base) + chunk.origin + channel * chunk.pitch);
      read_unaligned<Element>(from, values);
    }
    return;
  }
  const unsigned char* from = tile + segment * Config::kSegmentBytes + channel * Config::kSize;
#pragma unroll
  for (int j = 0; j < Config::kSteps; ++j) values[j] = widen<Element>(from + j * Config::kStepBytes);
}

// Stores a chunk of out; `tile` is free to be overwritten once every lane has come here.
template <typename Config>
__device__ __forceinline__ void store_quad(unsigned char* tile, void* base, const QuadChunk& chunk,
                                           RowAlignment alignment, unsigned lane,
                                           const float (&values)[Config::kSteps]) {
  using Element = typename Config::Element;
  constexpr int kVector = Config::kVector;
  const int channel = lane % Config::kQuad;
  const int segment = lane / Config::kQuad;
  auto* target = static_cast<Element*>(base) + chunk.origin;
  const auto store_row = [&](unsigned char* to) {
#pragma unroll
    for (int v = 0; v < Config::kSteps / kVector; ++v) {
      float part[kVector];
#pragma unroll
      for (int j = 0; j < kVector; ++j) part[j] = values[v * kVector + j];
      store_chunk(reinterpret_cast<Element*>(to) + v * kVector, part);
    }
  };
  if (alignment.bdl) {
    if (alignment.vectors && chunk.whole) {
      store_row(reinterpret_cast<unsigned char*>(target + channel * chunk.pitch + segment * Config::kSteps));
      return;
    }
    __syncwarp();
    store_row(tile + channel * Config::kRowBytes + segment * Config::kSteps * Config::kSize);
    __syncwarp();
#pragma unroll 1
    for (int c = 0; c < chunk.channels; ++c) {
      const auto* row = reinterpret_cast<const Element*>(tile + c * Config::kRowBytes) + lane;
      Element* to = target + c * chunk.pitch + lane;
#pragma unroll
      for (int t = 0; t < Config::kChunk; t += 32) {
        if (t + static_cast<int>(lane) < chunk.steps) to[t] = row[t];
      }
    }
    return;
  }
  unsigned char* to = tile + segment * Config::kSegmentBytes + channel * Config::kSize;
  __syncwarp();
#pragma unroll
  for (int j = 0; j < Config::kSteps; ++j) {
    *reinterpret_cast<Element*>(to + j * Config::kStepBytes) = narrow<Element>(values[j]);
  }
  __syncwarp();
  const unsigned char* slot =
      tile + lane / Config::kSteps * Config::kSegmentBytes + lane % Config::kSteps * Config::kStepBytes;
  constexpr int kTurnBytes = 32 / Config::kSteps * Config::kSegmentBytes;
  Element* row = target + lane * chunk.pitch;
  if (chunk.whole) {
    using Slot = Chunk<Element, Config::kQuad>;
#pragma unroll
    for (int i = 0; i < Config::kChunk / 32; ++i) {
      *reinterpret_cast<Slot*>(row) = *reinterpret_cast<const Slot*>(slot + i * kTurnBytes);
      row += 32 * chunk.pitch;
    }
    return;
  }
#pragma unroll 1
  for (int t = lane; t < chunk.steps; t += 32) {
#pragma unroll 1
    for (int c = 0; c < chunk.channels; ++c) row[c] = reinterpret_cast<const Element*>(slot)[c];
    slot += kTurnBytes;
    row += 32 * chunk.pitch;
  }
}

}  // namespace selective_scan
