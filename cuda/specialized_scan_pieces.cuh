// The pieces of u, delta, z and out that one lane of a preparer has, turn after turn of the lanes.
#pragma once

#include "specialized_scan_config.cuh"

namespace selective_scan {

template <typename Config>
struct LanePieces {
  static constexpr int kPiece = Config::kPiece;
  static constexpr int kRowPieces = Config::kRow / kPiece;
  static constexpr int kPieces = Config::kRows * kRowPieces;
  static constexpr int kTurns = (kPieces + 31) / 32;

  // Of a whole span, found once: in bytes of device memory from the span's first row, in bytes of an array, and in
  // floats of [channel][step]. Pieces of channels that do not exist are at the span's first piece, which may be read.
  int64_t places[kTurns];
  int slots[kTurns];
  int steps[kTurns];
  unsigned existing;  // a bit for each

  __device__ __forceinline__ LanePieces(int channels, int64_t pitch) : existing(0) {
    // By fresh_thread, so that the compiler keeps the results instead of working them out in each tile.
    const int lane = fresh_thread() % 32;
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int row = row_of(lane, turn);
      const int column = column_of(lane, turn);
      const bool exists = (Config::kBdl ? row : column) < channels;
      if (exists) existing |= 1u << turn;
      places[turn] = (exists ? row * pitch + column : 0) * Config::kSize;
      slots[turn] = slot_of(row, column);
      steps[turn] = step_of(row, column);
    }
  }

  __device__ __forceinline__ bool exists(int turn) const { return (existing >> turn & 1) != 0; }

  // The last turn may have fewer pieces than lanes.
  static __device__ __forceinline__ bool has_piece(int lane, int turn) {
    return kPieces % 32 == 0 || turn * 32 + lane < kPieces;
  }

  // Where turns are whole rows, a turn is a constant away from the first.
  static __device__ __forceinline__ int row_of(int lane, int turn) {
    if constexpr (32 % kRowPieces == 0) return lane / kRowPieces + turn * (32 / kRowPieces);
    return (turn * 32 + lane) / kRowPieces;
  }
  static __device__ __forceinline__ int column_of(int lane, int turn) {
    if constexpr (32 % kRowPieces == 0) return lane % kRowPieces * kPiece;
    return (turn * 32 + lane) % kRowPieces * kPiece;
  }

  static __device__ __forceinline__ int slot_of(int row, int column) {
    return row * Config::kRowBytes + column * Config::kSize;
  }
  static __device__ __forceinline__ int step_of(int row, int column) {
    return Config::kBdl ? row * Config::kStepPitch + column : column * Config::kStepPitch + row;
  }
};

}  // namespace selective_scan
