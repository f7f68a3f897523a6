// The segment-parallel scan, for few rows: a warp walks a chunk of time of four channels, and its lanes share the
// chunk. A block owns some quads of adjacent channels of one sequence and group. Its warps take the (chunk, quad) tasks
// in turn, chunk after chunk, and each state travels from a chunk's warp to that of the next as soon as it is known, so
// several chunks are under way at once. No block barrier: all waiting is for a tag or a count in shared memory.
#pragma once

#include "selective_scan_segments_tasks.cuh"

namespace selective_scan {

// The rates, the states before the first step and what else belongs to a channel. What does not exist is 0.
template <typename Config>
__device__ __forceinline__ void load_channels(const SelectiveScanParams& p) {
  const SegmentsPlace& place = block_state<Config>().place;
  const SegmentsLayout<Config>& layout = block_state<Config>().layout;
  unsigned char* shared = segments_shared();
  auto* flags = reinterpret_cast<int*>(shared);
  for (int i = threadIdx.x; i < 2 * layout.kFlags / 4; i += blockDim.x) flags[i] = 0;
  auto* scalars = reinterpret_cast<float2*>(shared + layout.scalars);
  for (int c = threadIdx.x; c < layout.channels; c += blockDim.x) {
    const bool exists = c < place.channels;
    scalars[c] = {exists && p.D != nullptr ? p.D[place.channel + c] : 0.0f,
                  exists && p.delta_bias != nullptr ? p.delta_bias[place.channel + c] : 0.0f};
  }
  const auto* A = static_cast<const float*>(p.A) + place.channel * p.dstate;
  const auto* initial = static_cast<const float*>(p.initial_state);
  if (initial != nullptr) initial += (place.sequence * p.dim + place.channel) * p.dstate;
  auto* rates = reinterpret_cast<float*>(shared + layout.rates);
  auto* carries = reinterpret_cast<float2*>(shared + layout.carries);
  const int states = 2 * layout.pairs;
  for (int i = threadIdx.x; i < layout.channels * states; i += blockDim.x) {
    const int c = i / states;
    const int n = i % states;
    const bool exists = c < place.channels && n < p.dstate;
    const int64_t from = c * p.dstate + n;
    const int quad = c / Config::kQuad;
    const int to = ((quad * layout.pairs + n / 2) * Config::kQuad + c % Config::kQuad) * 2 + n % 2;
    rates[to] = exists ? kLog2E * A[from] : 0.0f;
    carries[to] = {exists && initial != nullptr ? initial[from] : 0.0f, __int_as_float(0)};
  }
}

template <typename Config>
__device__ __forceinline__ void store_last_states(const SelectiveScanParams& p) {
  const SegmentsPlace& place = block_state<Config>().place;
  const SegmentsLayout<Config>& layout = block_state<Config>().layout;
  auto* last = static_cast<float*>(p.last_state) + (place.sequence * p.dim + place.channel) * p.dstate;
  const auto* carries = reinterpret_cast<const float2*>(segments_shared() + layout.carries);
  const int dstate = static_cast<int>(p.dstate);
  for (int i = threadIdx.x; i < place.channels * dstate; i += blockDim.x) {
    const int c = i / dstate;
    const int n = i % dstate;
    const int quad = c / Config::kQuad;
    last[i] = carries[((quad * layout.pairs + n / 2) * Config::kQuad + c % Config::kQuad) * 2 + n % 2].x;
  }
}

// All tasks of this warp.
template <typename Config>
__device__ __forceinline__ void walk_tasks(const SelectiveScanParams& p) {
  const BlockState<Config>& block = block_state<Config>();
  const int warp = threadIdx.x / 32;
  TaskPass at = {warp / block.quads, warp % block.quads, 0};
  if (at.chunk >= block.order.chunks) return;
  fetch_share<Config>(p, at);
  fetch_inputs<Config>(p, at);
  commit_copies();
  wait_for_copies();
  __syncwarp();
  prepare_share<Config>(p, at);
  do {
    Segment<Config> segment;
    start_task<Config>(p, at, segment);
    TaskPass next;
    do {
      next = at.pass + 1 < block.order.passes ? TaskPass{at.chunk, at.quad, at.pass + 1} : block.after(at);
      if (next.chunk < block.order.chunks) fetch_share<Config>(p, next);
      commit_copies();
      walk_states<Config>(p, at, segment);
      wait_for_copies();
      __syncwarp();
      next = at.pass + 1 < block.order.passes ? TaskPass{at.chunk, at.quad, at.pass + 1} : block.after(at);
      if (next.chunk < block.order.chunks) prepare_share<Config>(p, next);
      if (next.pass == 0) finish_task<Config>(p, at, segment);
      at = next;
    } while (at.pass != 0);
  } while (at.chunk < block.order.chunks);
}

template <typename Config>
__global__ void __launch_bounds__(32 * kSegmentsWarps, 1)
    selective_scan_segments_kernel(const __grid_constant__ SegmentsArgs args) {
  if (threadIdx.x == 0) describe_block<Config>(args, block_state<Config>());
  __syncthreads();
  load_channels<Config>(args.params);
  __syncthreads();
  walk_tasks<Config>(args.params);
  if (args.params.last_state == nullptr) return;
  __syncthreads();
  store_last_states<Config>(args.params);
}

}  // namespace selective_scan
