// Products of a few rows of activations with a matrix whose rows are the outputs. Reading the matrix once is all the
// time there is to it, so each block streams a run of its rows through shared memory, far ahead of what it multiplies,
// and all rows of activations take part at once.
//
// Columns come in chunks of four pieces, a piece being 16 bytes. A tile is eight rows; a lane copies a piece of one of
// them and reads only what it copied itself, so that the ring of pieces needs no barrier. Warps take chunks in turn and
// their sums are added in the order of the warps. A step of a warp is four pieces a lane: of four tiles, or where there
// are only one or two of one or two tiles and several chunks. 16-bit products are those of the tensor cores, where the
// columns of a chunk are dealt to the lanes in pieces instead of pairs, of both operands alike. How a row is summed up
// depends on nothing but the matrix and the device.
#pragma once

#include <cstdint>

#include "dependent_launch.cuh"
#include "tile_io.cuh"

namespace selective_scan {

constexpr int kProductWarps = 8;
constexpr int kProductThreads = 32 * kProductWarps;
// Blocks that a multiprocessor has registers for: this kernel's and the next one's. Sums of float32 take more.
template <typename Element>
constexpr int kProductBlocks = sizeof(Element) == 4 ? 1 : 2;
constexpr int kProductRows = 8;  // of activations that a block multiplies with
constexpr int kTileRows = 8;
constexpr int kGroupTiles = 4;  // tiles that are summed up at a time
constexpr int kGroupRows = kGroupTiles * kTileRows;
constexpr int kPieceBytes = 16;
constexpr int kChunkPieces = 4;
constexpr int kSumsStride = kGroupRows + 8;  // apart by a quarter of the banks
static_assert(kGroupRows == 32 && kProductRows <= kProductWarps, "a warp finishes one row of activations");

constexpr int kStepPieces = kGroupTiles;
constexpr int kStepSlots = kStepPieces * kProductThreads;

// Steps that a warp has under way: as many as leave room for the next kernel's on the same multiprocessor, whose shared
// memory differs by compute capability. 7.5 has no asynchronous copies either.
constexpr int kMostSteps = 6;
constexpr int product_steps(int capability) {
  return capability < 80 ? 2 : capability == 80 ? 4 : capability >= 90 && capability < 120 ? kMostSteps : 3;
}

// The shared memory of a block beside its rows of activations, and for each of them: sums and squares.
constexpr int64_t ring_bytes(int capability, int most_steps = kMostSteps) {
  const int steps = product_steps(capability);
  return (steps < most_steps ? steps : most_steps) * kStepSlots * kPieceBytes;
}
constexpr int64_t kRowSumBytes = kProductWarps * kSumsStride * sizeof(float);

// Of a row of activations in shared memory: whole chunks, and rows of them that start half the banks apart.
__host__ __device__ constexpr int64_t activation_stride(int64_t columns, int64_t element) {
  return (columns * element + 127) / 128 * 128 + 64;
}

struct WeightMatrix {
  const void* data;
  int columns;
  bool has_whole_pieces;  // each row begins at one
};

// How the rows of a matrix are shared out among blocks, whose numbers of rows differ by at most one. Made on the host,
// since dividing takes a kernel as long as some of them run.
struct RowShares {
  int64_t each = 0;
  unsigned larger = 0;  // blocks that have one more, the first
  unsigned blocks = 0;

  __device__ __forceinline__ int64_t first_of(unsigned block) const { return each * block + min(block, larger); }
};

struct RowRange {
  int64_t first;
  int64_t end;
};

__device__ __forceinline__ RowRange range_of(const RowShares& shares, unsigned block) {
  return {shares.first_of(block), shares.first_of(block + 1)};
}

// What a block keeps in shared memory: the ring, each warp's sums, and the rows of activations.
template <typename Element, int kMost = kMostSteps>
struct ProductMemory {
#ifdef __CUDA_ARCH__
  static constexpr int kCapability = __CUDA_ARCH__ / 10;
#else
  static constexpr int kCapability = 0;
#endif
  static constexpr int kSteps = static_cast<int>(ring_bytes(kCapability, kMost) / (kStepSlots * kPieceBytes));
  uint4* ring;
  float* sums;  // of `rows` rows of activations, by warps
  Element* activations;
  int stride;  // elements of a row of activations
  int rows;

  __device__ __forceinline__ ProductMemory(int columns, int rows)
      : ring(reinterpret_cast<uint4*>(block_memory())),
        sums(reinterpret_cast<float*>(ring + kSteps * kStepSlots)),
        activations(reinterpret_cast<Element*>(sums + rows * (kRowSumBytes / sizeof(float)))),
        stride(static_cast<int>(activation_stride(columns, sizeof(Element)) / sizeof(Element))),
        rows(rows) {}
};

// Copies rows of activations as they are, with zeros up to the end of the last chunk, and waits for them.
template <typename Element, int kMost>
__device__ __forceinline__ void load_activations(const ProductMemory<Element, kMost>& memory, const Element* source,
                                                 int columns, int rows) {
  constexpr int kPiece = kPieceBytes / sizeof(Element);
  const int padded = (columns + kChunkPieces * kPiece - 1) / (kChunkPieces * kPiece) * kChunkPieces;
  for (int row = 0; row < rows; ++row) {
    const Element* const from = source + static_cast<int64_t>(row) * columns;
    auto* const to = reinterpret_cast<Chunk<Element, kPiece>*>(memory.activations + row * memory.stride);
    for (int piece = threadIdx.x; piece < padded; piece += kProductThreads) {
      if (columns % kPiece == 0) {
        copy_async_line(to + piece, from + piece * kPiece, piece * kPiece < columns);
      } else {
        to[piece] = {};
        fetch_elements(to + piece, from + piece * kPiece, columns - piece * kPiece);
      }
    }
  }
  commit_copies();
  wait_for_copies();
  __syncthreads();
}

// The products of one lane of a warp for one tile.
template <typename Element>
struct TileSums {
#if __CUDA_ARCH__ >= 800 || defined(SELECTIVE_SCAN_EMULATOR)
  static constexpr bool kTensorCores = sizeof(Element) == 2;
#else
  static constexpr bool kTensorCores = false;
#endif
  float sums[kTensorCores ? 4 : kProductRows] = {};
};

// sums += activations (16 x 16, of which the lower eight rows are 0) * weights^T (16 x 8).
template <typename Element>
__device__ __forceinline__ void multiply_add(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t w0, uint32_t w1) {
  multiply_tile<std::is_same_v<Element, __half>>(sums, a0, a1, w0, w1);
}

template <typename Element, int kMost = kMostSteps>
class WeightStream {
 public:
  __device__ __forceinline__ WeightStream(const WeightMatrix& matrix, RowRange rows,
                                          const ProductMemory<Element, kMost>& memory)
      : matrix_(matrix),
        memory_(memory),
        slots_(reinterpret_cast<Piece*>(memory.ring) + threadIdx.x),
        first_row_(rows.first),
        rows_(static_cast<int>(rows.end - rows.first)),
        tiles_((rows_ + kTileRows - 1) / kTileRows),
        chunks_((matrix.columns + kChunk - 1) / kChunk),
        warp_(threadIdx.x / 32),
        row_in_tile_(threadIdx.x % 32 / kChunkPieces),
        piece_in_chunk_(threadIdx.x % kChunkPieces),
        lane_chunks_((matrix.columns - piece_in_chunk_ * kPiece + kChunk - 1) / kChunk) {
    enter_group(0);
  }

  // Starts the copies of some more steps, until there is room for no other.
  __device__ __forceinline__ void begin(int steps = kSteps) {
#pragma unroll 1
    for (; steps > 0 && begun_ < kSteps; --steps) copy_step(begun_++);
  }

  // Multiplies all rows. `output.begin(row, m)` is called before the values of some rows come, and `output.end(value)`
  // with the product of matrix row `row` and activations m; by the same thread, for rows and activations that there
  // are. The first of these calls is begin_output(), where its loads are in nobody's way.
  template <typename Output>
  __device__ __forceinline__ void begin_output(int batch, Output& output) const {
    if (has_output(0, batch)) output.begin(first_row_ + threadIdx.x % 32, warp_);
  }

  template <typename Output>
  __device__ __forceinline__ void multiply(int batch, Output& output) {
    const int lane = threadIdx.x % 32;
    for (int group = 0; group < tiles_; group += kGroupTiles) {
      sum_group(group, batch);
      __syncthreads();
      if (has_output(group, batch)) {
        float value = 0.0f;
#pragma unroll
        for (int warp = 0; warp < kProductWarps; ++warp) value += *sums_of(warp, warp_, lane);
        output.end(value);
      }
      const int next = group + kGroupTiles;
      if (next >= tiles_) break;
      if (has_output(next, batch)) output.begin(first_row_ + next * kTileRows + lane, warp_);
      __syncthreads();
    }
  }

 private:
  static constexpr int kSteps = ProductMemory<Element, kMost>::kSteps;
  static constexpr int kPiece = kPieceBytes / sizeof(Element);  // elements
  static constexpr int kChunk = kChunkPieces * kPiece;
  using Piece = Chunk<Element, kPiece>;

  // Which of a group's tiles, and of a warp's next chunks, the pieces of a step are of.
  struct StepShape {
    StepShape() = default;
    __device__ __forceinline__ explicit StepShape(int tiles_left)
        : tiles(min(tiles_left, kGroupTiles)),
          next_chunk(tiles == 1 ? kProductWarps : 0),
          third_chunk(tiles == 1   ? 2 * kProductWarps
                      : tiles == 2 ? kProductWarps
                                   : 0),
          chunks(tiles == 1   ? 4 * kProductWarps
                 : tiles == 2 ? 2 * kProductWarps
                              : kProductWarps) {}
    __device__ __forceinline__ int tile_of(int piece) const {
      return (tiles == 1 ? 0 : piece % 2) + (tiles <= 2 ? 0 : piece / 2 * 2);
    }
    __device__ __forceinline__ int chunk_of(int piece) const {
      return piece % 2 * next_chunk + piece / 2 * third_chunk;
    }
    int tiles;
    int next_chunk;
    int third_chunk;
    int chunks;  // to the next step
  };

  __device__ __forceinline__ bool has_output(int group, int batch) const {
    return group * kTileRows + static_cast<int>(threadIdx.x % 32) < rows_ && warp_ < batch;
  }

  __device__ __forceinline__ float* sums_of(int warp, int m, int row) const {
    return memory_.sums + (warp * memory_.rows + m) * kSumsStride + row;
  }

  // Steps are copied in the order in which they are multiplied with: group by group, of each the warp's chunks. Where
  // the next one's pieces are is always at hand.
  __device__ __forceinline__ void enter_group(int group) {
    next_group_ = group;
    next_chunk_ = group < tiles_ ? warp_ : chunks_;
    next_ = StepShape(tiles_ - group);
    const int row = group * kTileRows + row_in_tile_;
    const Element* const first = static_cast<const Element*>(matrix_.data) + (first_row_ + row) * matrix_.columns +
                                 piece_in_chunk_ * kPiece + warp_ * kChunk;
#pragma unroll
    for (int i = 0; i < kStepPieces; ++i) {
      const int tile_row = next_.tile_of(i) * kTileRows;
      pieces_[i] = first + static_cast<int64_t>(tile_row) * matrix_.columns + next_.chunk_of(i) * kChunk;
      // Chunks from the next one on that the lane has a piece of, for a row that there is.
      chunks_left_[i] = row + tile_row < rows_ ? lane_chunks_ - warp_ - next_.chunk_of(i) : 0;
    }
  }

  __device__ __forceinline__ void copy_step(int slot) {
    if (next_chunk_ < chunks_) {
      Piece* const to = slots_ + slot * kStepSlots;
      if (matrix_.has_whole_pieces) {
#pragma unroll
        for (int i = 0; i < kStepPieces; ++i) {
          copy_async_line(to + i * kProductThreads, pieces_[i], chunks_left_[i] > 0);
        }
      } else {
        copy_elements(to);
      }
      next_chunk_ += next_.chunks;
      if (next_chunk_ < chunks_) {
#pragma unroll
        for (int i = 0; i < kStepPieces; ++i) {
          pieces_[i] += next_.chunks * kChunk;
          chunks_left_[i] -= next_.chunks;
        }
      } else {
        enter_group(next_group_ + kGroupTiles);
      }
    }
    commit_copies();
  }

  __device__ __forceinline__ void copy_elements(Piece* to) const {
#pragma unroll 1
    for (int k = 0; k < kPiece; ++k) {
#pragma unroll
      for (int i = 0; i < kStepPieces; ++i) {
        const int column = (next_chunk_ + next_.chunk_of(i)) * kChunk + piece_in_chunk_ * kPiece + k;
        const bool is_there = chunks_left_[i] > 0 && column < matrix_.columns;
        auto* const target = reinterpret_cast<Element*>(to + i * kProductThreads) + k;
        *target = is_there ? pieces_[i][k] : narrow<Element>(0.0f);
      }
    }
  }

  __device__ __forceinline__ void sum_group(int group, int batch) {
    const StepShape shape(tiles_ - group);
    TileSums<Element> sums[kStepPieces];  // of each piece of the steps
    for (int chunk = warp_; chunk < chunks_; chunk += shape.chunks) {
      wait_for_copies<kSteps - 1>();
      multiply_step(shape, chunk, batch, sums);
      copy_step(slot_);
      if (++slot_ == kSteps) slot_ = 0;
    }
    constexpr int kSums = sizeof(sums[0].sums) / sizeof(float);
    if (shape.tiles <= 2) {
#pragma unroll
      for (int k = 0; k < kSums; ++k) {
        sums[0].sums[k] += sums[2].sums[k];
        sums[1].sums[k] += sums[3].sums[k];
        if (shape.tiles == 1) sums[0].sums[k] += sums[1].sums[k];
      }
    }
#pragma unroll
    for (int i = 0; i < kGroupTiles; ++i) {
      if (i < shape.tiles) store_sums(sums[i], i, batch);
    }
  }

  __device__ __forceinline__ void multiply_step(const StepShape& shape, int chunk, int batch,
                                                TileSums<Element> (&sums)[kStepPieces]) {
    const Element* const activations = memory_.activations + piece_in_chunk_ * kPiece;
    const Piece* const slots = slots_ + slot_ * kStepSlots;
    if constexpr (TileSums<Element>::kTensorCores) {
      // Activations past the last repeat it: nobody reads what they give.
      const Element* const row = activations + min(row_in_tile_, batch - 1) * memory_.stride;
      Piece weights[kStepPieces];
      Piece x[kStepPieces];
#pragma unroll
      for (int i = 0; i < kStepPieces; ++i) {
        weights[i] = slots[i * kProductThreads];
        x[i] = *reinterpret_cast<const Piece*>(row + min(chunk + shape.chunk_of(i), chunks_ - 1) * kChunk);
      }
#pragma unroll
      for (int i = 0; i < kStepPieces; ++i) {
        if (chunk + shape.chunk_of(i) >= chunks_) break;
        const Piece& w = weights[i];
        multiply_add<Element>(sums[i].sums, x[i].words[0], x[i].words[1], w.words[0], w.words[1]);
        multiply_add<Element>(sums[i].sums, x[i].words[2], x[i].words[3], w.words[2], w.words[3]);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kStepPieces; ++i) {
        if (shape.tile_of(i) >= shape.tiles || chunk + shape.chunk_of(i) >= chunks_) break;
        float w[kPiece];
        widen_chunk(slots + i * kProductThreads, w);
        const Element* const column = activations + (chunk + shape.chunk_of(i)) * kChunk;
#pragma unroll
        for (int m = 0; m < kProductRows; ++m) {
          if (m >= batch) break;
          float x[kPiece];
          widen_chunk(reinterpret_cast<const Piece*>(column + m * memory_.stride), x);
#pragma unroll
          for (int k = 0; k < kPiece; ++k) sums[i].sums[m] = fmaf(x[k], w[k], sums[i].sums[m]);
        }
      }
    }
  }

  __device__ __forceinline__ void store_sums(const TileSums<Element>& tile, int index, int batch) const {
    if constexpr (TileSums<Element>::kTensorCores) {
      // Of a lane: activations lane / 4, rows 2 * (lane % 4) and the next.
      if (row_in_tile_ >= batch) return;
      float* const at = sums_of(warp_, row_in_tile_, index * kTileRows + 2 * piece_in_chunk_);
      *reinterpret_cast<float2*>(at) = {tile.sums[0], tile.sums[1]};
    } else {
#pragma unroll
      for (int m = 0; m < kProductRows; ++m) {
        if (m >= batch) break;
        float sum = tile.sums[m];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        if (piece_in_chunk_ == 0) *sums_of(warp_, m, index * kTileRows + row_in_tile_) = sum;
      }
    }
  }

  const WeightMatrix matrix_;
  const ProductMemory<Element, kMost> memory_;
  Piece* const slots_;  // the lane's first of the ring
  const int64_t first_row_;
  const int rows_;  // that the block has
  const int tiles_;
  const int chunks_;
  const int warp_;
  const int row_in_tile_;
  const int piece_in_chunk_;
  const int lane_chunks_;  // in which the lane has a piece

  int begun_ = 0;  // steps whose first copies are started

  // The step to copy.
  int next_group_;
  int next_chunk_;
  StepShape next_;
  const Element* pieces_[kStepPieces];
  int chunks_left_[kStepPieces];

  int slot_ = 0;  // of the step to multiply with
};

}  // namespace selective_scan
