// What the warps of a block of the segment-parallel scan have in common: its place, tasks and order of tiles.
#pragma once

#include "selective_scan_segments_coefficients.cuh"
#include "selective_scan_segments_rows.cuh"

namespace selective_scan {

// The sequence, group and channels of a block.
struct SegmentsPlace {
  int64_t sequence;
  int64_t group;
  int64_t channel;  // first
  int channels;     // that exist
  int64_t batch;
  int64_t start;  // in the batch entry
  int64_t length;
};

__device__ __forceinline__ SegmentsPlace place_segments(const SegmentsArgs& args, int block_channels) {
  const SelectiveScanParams& p = args.params;
  const int64_t group_channels = p.dim / p.groups;
  const int64_t pieces = (group_channels + block_channels - 1) / block_channels;
  const int64_t block = args.first_block + blockIdx.x;
  SegmentsPlace place;
  const int64_t piece = block % pieces;
  place.group = block / pieces % p.groups;
  place.sequence = block / pieces / p.groups;
  place.channel = place.group * group_channels + piece * block_channels;
  place.channels = clamp_count(group_channels - piece * block_channels, block_channels);
  const bool packed = args.cu_seqlens != nullptr;
  place.batch = packed ? 0 : place.sequence;
  place.start = packed ? args.cu_seqlens[place.sequence] : 0;
  place.length = packed ? args.cu_seqlens[place.sequence + 1] - place.start : p.seqlen;
  return place;
}

// Division of a small number by one that a block keeps, as a multiplication. Exact below 2^32 / divisor.
struct Divisor {
  int value;
  unsigned reciprocal;

  __device__ __forceinline__ explicit Divisor(int value)
      : value(value), reciprocal(value == 1 ? 0 : static_cast<unsigned>(0xffffffffu / value + 1)) {}
  Divisor() = default;

  __device__ __forceinline__ int divide(int dividend) const {
    return value == 1 ? dividend : static_cast<int>(__umulhi(static_cast<unsigned>(dividend), reciprocal));
  }
};

// The order of the tiles of B and C, in which they take turns in shared memory: chunk after chunk; where the states
// take several passes, `ahead` chunks advance from pass to pass together, so that the warps of all of them find work. A
// warp has at most one task among them, so whoever waits for a tile waits for warps that are on their way to it.
struct PassOrder {
  int chunks;
  int passes;
  Divisor ahead;

  __device__ __forceinline__ int tile(int chunk, int pass) const {
    if (passes == 1) return chunk;
    const int first = ahead.divide(chunk) * ahead.value;
    const int width = min(ahead.value, chunks - first);
    return first * passes + pass * width + chunk - first;
  }
};

// A task's chunk and quad, and a pass over its states.
struct TaskPass {
  int chunk;
  int quad;
  int pass;
};

// What the warps of a block have in common. In shared memory and read anew wherever it is needed: the registers are for
// the walk over the states.
template <typename Config>
struct BlockState {
  SegmentsPlace place;
  PassOrder order;
  SegmentsLayout<Config> layout;
  Matrices<Config> matrices;
  RowAlignment alignment;
  int64_t origin;  // of the first channel and step in u, delta, z and out, in elements
  int64_t pitch;   // of their rows, in elements
  int quads;
  int warps;
  int turn_chunks;  // from a warp's task to its next
  int turn_quads;
  Divisor stages;
  bool whole_matrices;             // both vary and rows, if they are copied as vectors, begin at their boundaries
  int8_t units[kSegmentsWarps + 1];  // the first of each quad's share

  __device__ __forceinline__ QuadChunk chunk(TaskPass at) const {
    const int64_t start = static_cast<int64_t>(at.chunk) * Config::kChunk;
    const int channel = at.quad * Config::kQuad;
    QuadChunk result;
    result.pitch = pitch;
    result.origin = origin + (alignment.bdl ? channel * pitch + start : start * pitch + channel);
    result.channels = clamp_count(place.channels - channel, Config::kQuad);
    result.steps = clamp_count(place.length - start, Config::kChunk);
    result.whole = place.channels - channel >= Config::kQuad && place.length - start >= Config::kChunk &&
                   (alignment.bdl || alignment.vectors);
    return result;
  }

  __device__ __forceinline__ UnitShare share(int quad) const { return {units[quad], units[quad + 1] - units[quad]}; }

  __device__ __forceinline__ TileRange range(TaskPass at, int64_t dstate) const {
    TileRange result;
    result.start = static_cast<int64_t>(at.chunk) * Config::kChunk;
    result.steps = clamp_count(place.length - result.start, Config::kChunk);
    result.first_state = at.pass * Config::kStates;
    result.states = clamp_count(dstate - result.first_state, Config::kStates);
    result.whole = whole_matrices && place.length - result.start >= Config::kChunk &&
                   dstate - result.first_state >= Config::kStates;
    return result;
  }

  // The task that a warp takes after this one.
  __device__ __forceinline__ TaskPass after(TaskPass at) const {
    const int quad = at.quad + turn_quads;
    return {at.chunk + turn_chunks + (quad >= quads ? 1 : 0), quad >= quads ? quad - quads : quad, 0};
  }

  __device__ __forceinline__ int* prepared(int slot) const { return reinterpret_cast<int*>(segments_shared()) + slot; }
  __device__ __forceinline__ int* released(int slot) const { return prepared(slot) + layout.kFlags / 4; }
};

template <typename Config>
__device__ __forceinline__ BlockState<Config>& block_state() {
  __shared__ BlockState<Config> state;
  return state;
}

template <typename Config>
__device__ __forceinline__ VaryingMatrix<typename Config::Element> locate_matrix(const SelectiveScanParams& p,
                                                                                 const SegmentsPlace& place,
                                                                                 const void* base, bool varying) {
  if (!varying) return {nullptr, 0, false};
  int64_t offset;
  int64_t pitch;
  if (p.layout == Layout::kBDL) {
    pitch = p.seqlen;
    offset = (place.batch * p.groups + place.group) * p.dstate * pitch + place.start;
  } else {
    pitch = p.groups * p.dstate;
    offset = (place.batch * p.seqlen + place.start) * pitch + place.group * p.dstate;
  }
  const auto* source = static_cast<const typename Config::Element*>(base) + offset;
  return {source, pitch, ((reinterpret_cast<int64_t>(source) | pitch * Config::kSize) & 15) == 0};
}

template <typename Config>
__device__ __forceinline__ void describe_block(const SegmentsArgs& args, BlockState<Config>& block) {
  const SelectiveScanParams& p = args.params;
  const auto layout = SegmentsLayout<Config>::of(p, args.quads, args.warps, args.stages);
  const SegmentsPlace place = place_segments(args, layout.channels);
  block.place = place;
  block.layout = layout;
  block.order = {static_cast<int>((place.length + Config::kChunk - 1) / Config::kChunk), layout.pairs / Config::kPairs,
                 Divisor(args.ahead)};
  block.matrices[0] = locate_matrix<Config>(p, place, p.B, p.varying_b);
  block.matrices[1] = locate_matrix<Config>(p, place, p.C, p.varying_c);
  block.quads = args.quads;
  block.warps = args.warps;
  block.turn_chunks = args.warps / args.quads;
  block.turn_quads = args.warps % args.quads;
  block.stages = Divisor(args.stages);
  const bool bdl = p.layout == Layout::kBDL;
  const int units = bdl ? Config::kRowUnits : Config::kStepUnits;
  for (int quad = 0; quad <= args.quads; ++quad) block.units[quad] = static_cast<int8_t>(units * quad / args.quads);
  block.whole_matrices =
      p.varying_b && p.varying_c && (bdl || (block.matrices[0].vectors && block.matrices[1].vectors));
  block.pitch = bdl ? p.seqlen : p.dim;
  block.origin = bdl ? (place.batch * p.dim + place.channel) * p.seqlen + place.start
                     : (place.batch * p.seqlen + place.start) * p.dim + place.channel;
  const int64_t bases = reinterpret_cast<int64_t>(p.u) | reinterpret_cast<int64_t>(p.delta) |
                        reinterpret_cast<int64_t>(p.z) | reinterpret_cast<int64_t>(p.out);
  const int64_t vector = bdl ? 16 : Config::kStepBytes;
  const bool vectors = ((bases | block.origin * Config::kSize | block.pitch * Config::kSize) & (vector - 1)) == 0;
  block.alignment = {bdl, vectors};
}

}  // namespace selective_scan
