// The parts of a task of the segment-parallel scan: preparing tiles of B and C, starting the chunk of a quad, walking
// its states and finishing it.
#pragma once

#include "selective_scan_segments_block.cuh"
#include "selective_scan_segments_states.cuh"

namespace selective_scan {

// Each slot of tiles has two counts in shared memory: `prepared`, the shares prepared there so far, and `released`, how
// often a quad was done with a tile there. They only grow, and wrap.
__device__ __forceinline__ void await_count(const int* count, int least) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(count));
  int value;
  do {
    asm volatile("ld.acquire.cta.shared.b32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
  } while (value - least < 0);
}

// After what all lanes have read and written.
__device__ __forceinline__ void advance_count(int* count) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(count));
  __syncwarp();
  if (fresh_thread() % 32 == 0) asm volatile("red.release.cta.shared.add.u32 [%0], 1;" ::"r"(address) : "memory");
}

// The shared memory of a warp.
template <typename Config>
struct WarpMemory {
  unsigned char* u;
  unsigned char* delta;
  unsigned char* z;
  float4* constants;
  unsigned char* raw;

  __device__ __forceinline__ WarpMemory() {
    const SegmentsLayout<Config>& layout = block_state<Config>().layout;
    u = segments_shared() + layout.warps + fresh_thread() / 32 * layout.warp_bytes;
    delta = u + Config::kRowTileBytes;
    z = delta + Config::kRowTileBytes;
    constants = reinterpret_cast<float4*>(z + Config::kRowTileBytes);
    raw = z + Config::kRowTileBytes + 2 * Config::kConstantBytes;
  }
};

// Starts the copies of a warp's share of a tile of B and C.
template <typename Config>
__device__ __forceinline__ void fetch_share(const SelectiveScanParams& p, TaskPass at) {
  const BlockState<Config>& block = block_state<Config>();
  const WarpMemory<Config> memory;
  const unsigned lane = fresh_thread() % 32;
  const TileRange range = block.range(at, p.dstate);
  if (p.layout == Layout::kBDL) {
    const UnitShare share = block.share(at.quad);
    fetch_rows_of_states<Config>(memory.raw, block.matrices, range, share, lane);
  } else {
    const UnitShare share = block.share(at.quad);
    fetch_steps_of_states<Config>(memory.raw, block.matrices, range, share, lane);
  }
}

// Widens the share, once this warp's copies have arrived.
template <typename Config>
__device__ __forceinline__ void prepare_share(const SelectiveScanParams& p, TaskPass at) {
  const BlockState<Config>& block = block_state<Config>();
  const WarpMemory<Config> memory;
  const unsigned lane = fresh_thread() % 32;
  const int tile = block.order.tile(at.chunk, at.pass);
  const int round = block.stages.divide(tile);
  const int slot = tile - round * block.stages.value;
  unsigned char* target = segments_shared() + block.layout.tiles + slot * block.layout.kTileBytes;
  await_count(block.released(slot), round * block.quads);
  if (p.layout == Layout::kBDL) {
    const UnitShare share = block.share(at.quad);
    widen_rows_of_states<Config>(target, memory.raw, block.matrices, block.range(at, p.dstate), share, lane);
  } else {
    const UnitShare share = block.share(at.quad);
    widen_steps_of_states<Config>(target, memory.raw, share, lane);
  }
  advance_count(block.prepared(slot));
}

template <typename Config>
__device__ __forceinline__ void fetch_inputs(const SelectiveScanParams& p, TaskPass at) {
  const BlockState<Config>& block = block_state<Config>();
  const WarpMemory<Config> memory;
  const unsigned lane = fresh_thread() % 32;
  const QuadChunk chunk = block.chunk(at);
  fetch_quad<Config>(memory.u, p.u, chunk, block.alignment, lane);
  fetch_quad<Config>(memory.delta, p.delta, chunk, block.alignment, lane);
}

// From the inputs of a task to its steps. Their memory then takes the inputs of the warp's next task.
template <typename Config>
__device__ __forceinline__ void start_task(const SelectiveScanParams& p, TaskPass at, Segment<Config>& segment) {
  using Element = typename Config::Element;
  constexpr int kSteps = Config::kSteps;
  const BlockState<Config>& block = block_state<Config>();
  const WarpMemory<Config> memory;
  const unsigned lane = fresh_thread() % 32;
  const QuadChunk chunk = block.chunk(at);
  float u[kSteps];
  read_steps<Config>(memory.delta, p.delta, chunk, block.alignment, lane, segment.dt);
  read_steps<Config>(memory.u, p.u, chunk, block.alignment, lane, u);
  __syncwarp();
  if (p.z != nullptr) fetch_quad<Config>(memory.z, p.z, chunk, block.alignment, lane);
  const TaskPass after = block.after(at);
  if (after.chunk < block.order.chunks) fetch_inputs<Config>(p, after);

  const auto* scalars = reinterpret_cast<const float2*>(segments_shared() + block.layout.scalars);
  const float2 scalar = scalars[at.quad * Config::kQuad + lane % Config::kQuad];  // D and delta_bias
#pragma unroll
  for (int j = 0; j < kSteps; ++j) segment.dt[j] += scalar.y;
  if (p.delta_softplus) {
#pragma unroll
    for (int j = 0; j < kSteps; j += 4) softplus<4, sizeof(Element) == 4>(segment.dt + j);
  }
  // Steps beyond the sequence leave the states as they are.
  if (chunk.steps < Config::kChunk) {
#pragma unroll
    for (int j = 0; j < kSteps; ++j) {
      if (static_cast<int>(lane) / Config::kQuad * kSteps + j >= chunk.steps) segment.dt[j] = 0.0f;
    }
  }
  segment.duration = 0.0f;
#pragma unroll
  for (int j = 0; j < kSteps; ++j) {
    segment.duration += segment.dt[j];
    segment.dtu[j] = segment.dt[j] * u[j];
    segment.y[j] = scalar.x * u[j];
  }
}

template <typename Config>
__device__ __forceinline__ void finish_task(const SelectiveScanParams& p, TaskPass at, Segment<Config>& segment) {
  const BlockState<Config>& block = block_state<Config>();
  const WarpMemory<Config> memory;
  const unsigned lane = fresh_thread() % 32;
  const QuadChunk chunk = block.chunk(at);
  if (p.z != nullptr) {
    float z[Config::kSteps];
    read_steps<Config>(memory.z, p.z, chunk, block.alignment, lane, z);
#pragma unroll
    for (int j = 0; j < Config::kSteps; ++j) segment.y[j] *= silu<typename Config::Element>(z[j]);
  }
  store_quad<Config>(memory.z, p.out, chunk, block.alignment, lane, segment.y);
}

// Constant B or C in place of the tile's rows.
template <typename Config>
__device__ __forceinline__ CoefficientRows constant_rows(const SelectiveScanParams& p, TaskPass at, const void* base,
                                                         int matrix) {
  const BlockState<Config>& block = block_state<Config>();
  float4* rows = WarpMemory<Config>().constants + matrix * (Config::kConstantBytes / 16);
  const unsigned lane = fresh_thread() % 32;
  const TileRange range = block.range(at, p.dstate);
  const auto* source = static_cast<const float*>(base) + (block.place.channel + at.quad * Config::kQuad) * p.dstate;
  __syncwarp();
  repeat_constant<Config>(rows, source, p.dstate, block.chunk(at).channels, range.first_state, range.states, lane);
  __syncwarp();
  return {static_cast<unsigned>(__cvta_generic_to_shared(rows + lane % Config::kQuad)), Config::kQuad * 16, 0};
}

template <typename Config>
__device__ __forceinline__ void walk_states(const SelectiveScanParams& p, TaskPass at, Segment<Config>& segment) {
  const BlockState<Config>& block = block_state<Config>();
  const SegmentsLayout<Config>& layout = block.layout;
  const unsigned lane = fresh_thread() % 32;
  const int tile = block.order.tile(at.chunk, at.pass);
  const int round = block.stages.divide(tile);
  const int slot = tile - round * block.stages.value;
  const unsigned shared = static_cast<unsigned>(__cvta_generic_to_shared(segments_shared()));
  const unsigned address = shared + layout.tiles + slot * layout.kTileBytes +
                           lane / Config::kQuad * (Config::kSegmentPitch * 4);
  CoefficientRows B{address, Config::kStatePitch * 4, 16};
  CoefficientRows C{address + Config::kMatrixBytes, Config::kStatePitch * 4, 16};
  if constexpr (Config::kConstant) {
    if (!p.varying_b) B = constant_rows<Config>(p, at, p.B, 0);
    if (!p.varying_c) C = constant_rows<Config>(p, at, p.C, 1);
  }
  const int pair = (at.quad * layout.pairs + at.pass * Config::kPairs) * Config::kQuad + lane % Config::kQuad;
  unsigned carry = shared + layout.carries + pair * layout.kCarry;
  unsigned rates = shared + layout.rates + pair * layout.kRates;
  const int states = clamp_count(p.dstate - at.pass * Config::kStates, Config::kStates);
  const unsigned end = carry + (states + 1) / 2 * (Config::kQuad * layout.kCarry);
  await_count(block.prepared(slot), (round + 1) * block.quads);
#pragma unroll 1
  while (carry != end) {
    walk_pair<Config>(segment, read_two(rates), B, C, carry, at.chunk, lane);
    rates += Config::kQuad * layout.kRates;
    carry += Config::kQuad * layout.kCarry;
    B.address += 2 * B.state_bytes;
    C.address += 2 * C.state_bytes;
  }
  {
    const int tile = block.order.tile(at.chunk, at.pass);
    advance_count(block.released(tile - block.stages.divide(tile) * block.stages.value));
  }
}

}  // namespace selective_scan
