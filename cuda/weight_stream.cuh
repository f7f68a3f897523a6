// Products of a few rows of activations with a matrix whose rows are the outputs. Reading the matrix once is all the
// time there is to it, so each block streams a run of its rows through shared memory, far ahead of what it multiplies,
// and all rows of activations take part at once.
//
// Columns come in chunks of four pieces, a piece being 16 bytes. A tile is eight rows; a lane copies a piece of one of
// them and reads only what it copied itself, so that the ring of pieces needs no barrier. Warps take chunks in turn and
// their sums are added in the order of the warps. 16-bit products are those of the tensor cores, where the columns of a
// chunk are dealt to the lanes in pieces instead of pairs, of both operands alike. How a row is summed up depends on
// nothing but the matrix and the device.
#pragma once

#include <cstdint>

#include "dependent_launch.cuh"
#include "tile_io.cuh"

namespace selective_scan {

constexpr int kProductWarps = 8;
constexpr int kProductThreads = 32 * kProductWarps;
constexpr int kProductRows = 8;  // of activations that a block multiplies with
constexpr int kTileRows = 8;
constexpr int kGroupTiles = 4;  // tiles that are summed up at a time
constexpr int kGroupRows = kGroupTiles * kTileRows;
constexpr int kPieceBytes = 16;
constexpr int kChunkPieces = 4;
constexpr int kSumsStride = kGroupRows + 8;  // apart by a quarter of the banks
constexpr int kSums = kProductWarps * kProductRows * kSumsStride;
static_assert(kGroupRows == 32 && kProductRows <= kProductWarps, "a warp finishes one row of activations");

// Pieces that a lane has under way. 7.5 has neither the memory nor asynchronous copies.
constexpr int product_stages(int capability) { return capability >= 80 ? 12 : 4; }

// The shared memory of a block beside its rows of activations.
constexpr int64_t product_bytes(int capability) {
  return product_stages(capability) * kPieceBytes * kProductThreads + kSums * static_cast<int64_t>(sizeof(float));
}

// Of a row of activations in shared memory: whole chunks, and rows of them that start half the banks apart.
__host__ __device__ constexpr int64_t activation_stride(int64_t columns, int64_t element) {
  return (columns * element + 127) / 128 * 128 + 64;
}

struct WeightMatrix {
  const void* data;
  int64_t rows;
  int columns;
  bool has_whole_pieces;  // each row begins at one
};

struct RowRange {
  int64_t first;
  int64_t end;
};

// What a block has of a matrix's rows.
__device__ __forceinline__ RowRange share_of(int64_t rows, unsigned block, unsigned blocks) {
  return {rows * block / blocks, rows * (block + 1) / blocks};
}

// Has a thread fetch its part of the first bytes of what each of `blocks` blocks will read into the second-level cache.
template <typename Element>
__device__ __forceinline__ void prefetch_shares(const WeightMatrix& matrix, unsigned blocks, int64_t bytes_of_block,
                                                int64_t thread, int64_t threads) {
  constexpr int64_t kBytes = 4096;
  if (!matrix.has_whole_pieces) return;
  const int64_t row_bytes = matrix.columns * static_cast<int64_t>(sizeof(Element));
  for (int64_t i = thread; i < bytes_of_block / kBytes * blocks; i += threads) {
    const RowRange share = share_of(matrix.rows, static_cast<unsigned>(i % blocks), blocks);
    const int64_t begin = share.first * row_bytes + i / blocks * kBytes;
    const int64_t bytes = min(kBytes, share.end * row_bytes - begin);
    if (bytes > 0) prefetch(static_cast<const char*>(matrix.data) + begin, static_cast<uint32_t>(bytes));
  }
}

// What a block keeps in shared memory: the ring, each warp's sums, and the rows of activations.
template <typename Element>
struct ProductMemory {
  static constexpr int kStages = product_stages(
#ifdef __CUDA_ARCH__
      __CUDA_ARCH__ / 10
#else
      0
#endif
  );
  uint4* ring;
  float* sums;
  Element* activations;
  int stride;  // elements of a row of activations

  __device__ __forceinline__ explicit ProductMemory(int columns)
      : ring(reinterpret_cast<uint4*>(block_memory())),
        sums(reinterpret_cast<float*>(ring + kStages * kProductThreads)),
        activations(reinterpret_cast<Element*>(sums + kSums)),
        stride(static_cast<int>(activation_stride(columns, sizeof(Element)) / sizeof(Element))) {}
};

// Rows of activations as they are, and zeros up to the end of the last chunk.
template <typename Element>
__device__ __forceinline__ void load_activations(const ProductMemory<Element>& memory, const Element* source,
                                                 int columns, int rows) {
  constexpr int kPiece = kPieceBytes / sizeof(Element);
  const int padded = (columns + kChunkPieces * kPiece - 1) / (kChunkPieces * kPiece) * kChunkPieces;
  for (int row = 0; row < rows; ++row) {
    const Element* const from = source + static_cast<int64_t>(row) * columns;
    auto* const to = reinterpret_cast<uint4*>(memory.activations + row * memory.stride);
    for (int piece = threadIdx.x; piece < padded; piece += kProductThreads) {
      Chunk<Element, kPiece> values = {};
      const int count = columns - piece * kPiece;
      if (columns % kPiece == 0) {
        if (count > 0) values = *reinterpret_cast<const Chunk<Element, kPiece>*>(from + piece * kPiece);
      } else {
        fetch_elements(&values, from + piece * kPiece, count);
      }
      *reinterpret_cast<Chunk<Element, kPiece>*>(to + piece) = values;
    }
  }
}

// The products of one lane of a warp for one tile.
template <typename Element>
struct TileSums {
#if __CUDA_ARCH__ >= 800
  static constexpr bool kTensorCores = sizeof(Element) == 2;
#else
  static constexpr bool kTensorCores = false;
#endif
  float sums[kTensorCores ? 4 : kProductRows] = {};
};

// sums += activations (16 x 16, of which the lower eight rows are 0) * weights^T (16 x 8).
template <typename Element>
__device__ __forceinline__ void multiply_add(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t w0, uint32_t w1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<Element, __half>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %6, %5, %6}, {%7, %8}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(0), "r"(w0), "r"(w1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %6, %5, %6}, {%7, %8}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(0), "r"(w0), "r"(w1));
  }
#endif
}

template <typename Element>
class WeightStream {
 public:
  __device__ __forceinline__ WeightStream(const WeightMatrix& matrix, RowRange rows,
                                          const ProductMemory<Element>& memory)
      : matrix_(matrix),
        memory_(memory),
        rows_(rows),
        tiles_(static_cast<int>((rows.end - rows.first + kTileRows - 1) / kTileRows)),
        chunks_((matrix.columns + kChunk - 1) / kChunk),
        warp_(threadIdx.x / 32),
        lane_(threadIdx.x % 32) {
    next_.chunk = warp_;
    next_.tile = 0;
    next_.group = warp_ < chunks_ ? 0 : tiles_;
  }

  // Starts as many copies as there is room for.
  __device__ __forceinline__ void begin() {
    for (int i = 0; i < kStages; ++i) copy_next();
  }

  // Multiplies all rows. `output.begin(row, m)` is called before the values of some rows come, and `output.end(value)`
  // with the product of matrix row `row` and activations m; by the same thread, for rows and activations that there are.
  template <typename Output>
  __device__ __forceinline__ void multiply(int batch, Output& output) {
    for (int group = 0; group < tiles_; group += kGroupTiles) {
      const int64_t row = rows_.first + group * kTileRows + lane_;
      const bool has_output = row < rows_.end && warp_ < batch;
      if (has_output) output.begin(row, warp_);
      switch (min(tiles_ - group, kGroupTiles)) {
        case 1:
          sum_group<1, 4>(batch);
          break;
        case 2:
          sum_group<2, 2>(batch);
          break;
        case 3:
          sum_group<3, 1>(batch);
          break;
        default:
          sum_group<4, 1>(batch);
      }
      __syncthreads();
      if (has_output) {
        float value = 0.0f;
#pragma unroll
        for (int warp = 0; warp < kProductWarps; ++warp) value += *sums_of(warp, warp_, lane_);
        output.end(value);
      }
      __syncthreads();
    }
  }

 private:
  static constexpr int kStages = ProductMemory<Element>::kStages;
  static constexpr int kPiece = kPieceBytes / sizeof(Element);  // elements
  static constexpr int kChunk = kChunkPieces * kPiece;
  static constexpr int kStepPieces = 4;  // that are multiplied with at a time, at most
  static_assert(kStages >= kStepPieces, "a step's pieces are all under way");
  using Piece = Chunk<Element, kPiece>;

  __device__ __forceinline__ int row_in_tile() const { return lane_ / kChunkPieces; }
  __device__ __forceinline__ int piece_in_chunk() const { return lane_ % kChunkPieces; }
  __device__ __forceinline__ float* sums_of(int warp, int m, int row) const {
    return memory_.sums + (warp * kProductRows + m) * kSumsStride + row;
  }

  // In the order in which they are multiplied: of each group of tiles the warp's chunks, of each chunk the tiles.
  __device__ __forceinline__ void copy_next() {
    if (next_.group < tiles_) {
      const int64_t row = rows_.first + (next_.group + next_.tile) * kTileRows + row_in_tile();
      const int column = next_.chunk * kChunk + piece_in_chunk() * kPiece;
      Piece* const slot = reinterpret_cast<Piece*>(memory_.ring) + next_slot_ * kProductThreads + threadIdx.x;
      const Element* const from = static_cast<const Element*>(matrix_.data) + row * matrix_.columns + column;
      const int count = row < rows_.end ? matrix_.columns - column : 0;
      if (matrix_.has_whole_pieces && count > 0) {
        copy_async<kPieceBytes>(slot, from);
      } else {
        *slot = {};
        fetch_elements(slot, from, count);
      }
      if (++next_.tile == min(tiles_ - next_.group, kGroupTiles)) {
        next_.tile = 0;
        next_.chunk += kProductWarps;
        if (next_.chunk >= chunks_) {
          next_.chunk = warp_;
          next_.group += kGroupTiles;
        }
      }
      if (++next_slot_ == kStages) next_slot_ = 0;
    }
    commit_copies();
  }

  // kTiles tiles of which a step takes kChunks of the warp's chunks.
  template <int kTiles, int kChunks>
  __device__ __forceinline__ void sum_group(int batch) {
    static_assert(kTiles * kChunks <= kStepPieces, "a step has a limit");
    TileSums<Element> sums[kChunks][kTiles];
    for (int chunk = warp_; chunk < chunks_; chunk += kChunks * kProductWarps) {
      wait_for_copies<kStages - kTiles * kChunks>();
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        if (chunk + j * kProductWarps < chunks_) multiply_chunk(chunk + j * kProductWarps, batch, sums[j]);
      }
#pragma unroll
      for (int j = 0; j < kChunks; ++j) {
        if (chunk + j * kProductWarps >= chunks_) break;
        for (int i = 0; i < kTiles; ++i) copy_next();
      }
    }
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
#pragma unroll
      for (int j = 1; j < kChunks; ++j) {
        for (int k = 0; k < static_cast<int>(sizeof(sums[0][0].sums) / sizeof(float)); ++k) {
          sums[0][i].sums[k] += sums[j][i].sums[k];
        }
      }
      store_sums(sums[0][i], i, batch);
    }
  }

  template <int kTiles>
  __device__ __forceinline__ void multiply_chunk(int chunk, int batch, TileSums<Element> (&sums)[kTiles]) {
    Piece weights[kTiles];
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      weights[i] = reinterpret_cast<const Piece*>(memory_.ring)[slot_ * kProductThreads + threadIdx.x];
      if (++slot_ == kStages) slot_ = 0;
    }
    const Element* const column = memory_.activations + chunk * kChunk + piece_in_chunk() * kPiece;
    if constexpr (TileSums<Element>::kTensorCores) {
      Piece x = {};
      if (row_in_tile() < batch) x = *reinterpret_cast<const Piece*>(column + row_in_tile() * memory_.stride);
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        const Piece& w = weights[i];
        multiply_add<Element>(sums[i].sums, x.words[0], x.words[1], w.words[0], w.words[1]);
        multiply_add<Element>(sums[i].sums, x.words[2], x.words[3], w.words[2], w.words[3]);
      }
    } else {
      float w[kTiles][kPiece];
#pragma unroll
      for (int i = 0; i < kTiles; ++i) widen_chunk(&weights[i], w[i]);
#pragma unroll
      for (int m = 0; m < kProductRows; ++m) {
        if (m >= batch) break;
        float x[kPiece];
        widen_chunk(reinterpret_cast<const Piece*>(column + m * memory_.stride), x);
#pragma unroll
        for (int i = 0; i < kTiles; ++i) {
#pragma unroll
          for (int k = 0; k < kPiece; ++k) sums[i].sums[m] = fmaf(x[k], w[i][k], sums[i].sums[m]);
        }
      }
    }
  }

  __device__ __forceinline__ void store_sums(TileSums<Element>& tile, int index, int batch) const {
    if constexpr (TileSums<Element>::kTensorCores) {
      // Of a lane: activations lane / 4, rows 2 * (lane % 4) and the next.
      const int row = index * kTileRows + 2 * piece_in_chunk();
      if (row_in_tile() >= batch) return;
      *reinterpret_cast<float2*>(sums_of(warp_, row_in_tile(), row)) = {tile.sums[0], tile.sums[1]};
    } else {
#pragma unroll
      for (int m = 0; m < kProductRows; ++m) {
        if (m >= batch) break;
        float sum = tile.sums[m];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        if (piece_in_chunk() == 0) *sums_of(warp_, m, index * kTileRows + row_in_tile()) = sum;
      }
    }
  }

  const WeightMatrix matrix_;
  const ProductMemory<Element> memory_;
  const RowRange rows_;
  const int tiles_;
  const int chunks_;
  const int warp_;
  const int lane_;
  struct {
    int group;
    int chunk;
    int tile;
  } next_;  // piece to copy
  int next_slot_ = 0;
  int slot_ = 0;  // of the piece to multiply with
};

}  // namespace selective_scan
