// A pass of the segment-parallel scan over two states of a chunk. Each lane finds where its segment ends if it starts
// from 0; a scan over the segments' (decay, end) finds where each one really starts; the steps are then walked from
// there. The decays of the steps are kept between the two walks, so each exponential is computed once.
#pragma once

#include "scan_math.cuh"
#include "selective_scan_segments_args.cuh"

namespace selective_scan {

// A lane's steps of one channel.
template <typename Config>
struct Segment {
  float dt[Config::kSteps];
  float dtu[Config::kSteps];
  float y[Config::kSteps];
  float duration;  // the sum of dt
};

// Rows of B or C as a lane reads them: an address in shared memory and how many bytes further the next state and the
// next four steps are. Not a pointer: the compiler would lose its address space.
struct CoefficientRows {
  unsigned address;
  int state_bytes;
  int step_bytes;
};

__device__ __forceinline__ float4 read_four(unsigned address) {
  return *static_cast<const float4*>(__cvta_shared_to_generic(address));
}

__device__ __forceinline__ float2 read_two(unsigned address) {
  return *static_cast<const float2*>(__cvta_shared_to_generic(address));
}

// The states at the end of a chunk, on their way to the next. A tag travels in the same 8 bytes as a value, so that a
// reader who sees the tag has the value, without a barrier.
struct Carry {
  float value[2];
  int tag[2];
};

__device__ __forceinline__ void send_carry(unsigned address, float first, float second, int tag) {
  const uint64_t high = static_cast<uint64_t>(static_cast<unsigned>(tag)) << 32;
  asm volatile("st.volatile.shared.v2.b64 [%0], {%1, %2};" ::"r"(address), "l"(high | __float_as_uint(first)),
               "l"(high | __float_as_uint(second))
               : "memory");
}

__device__ __forceinline__ Carry read_carry(unsigned address) {
  uint64_t first;
  uint64_t second;
  asm volatile("ld.volatile.shared.v2.b64 {%0, %1}, [%2];" : "=l"(first), "=l"(second) : "r"(address) : "memory");
  return {{__uint_as_float(static_cast<unsigned>(first)), __uint_as_float(static_cast<unsigned>(second))},
          {static_cast<int>(first >> 32), static_cast<int>(second >> 32)}};
}

__device__ __forceinline__ Carry await_carry(unsigned address, int tag) {
  Carry carry = read_carry(address);
  while (carry.tag[0] != tag || carry.tag[1] != tag) carry = read_carry(address);
  return carry;
}

// One round of an inclusive scan over the segments of two states: each joins the part that ends kDistance lanes below.
// The shuffle itself tells whether there is such a lane, and predicates the arithmetic.
template <int kDistance, bool kLast>
__device__ __forceinline__ void join_segments(float (&end)[2], float (&decay)[2]) {
  if constexpr (kLast) {
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        ".reg .f32 e0, e1;\n"
        "shfl.sync.up.b32 e0|p, %0, %4, 0, -1;\n"
        "shfl.sync.up.b32 e1, %1, %4, 0, -1;\n"
        "@p fma.rn.f32 %0, %2, e0, %0;\n"
        "@p fma.rn.f32 %1, %3, e1, %1;\n"
        "}"
        : "+f"(end[0]), "+f"(end[1])
        : "f"(decay[0]), "f"(decay[1]), "n"(kDistance));
  } else {
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        ".reg .f32 e0, e1, d0, d1;\n"
        "shfl.sync.up.b32 e0|p, %0, %4, 0, -1;\n"
        "shfl.sync.up.b32 e1, %1, %4, 0, -1;\n"
        "shfl.sync.up.b32 d0, %2, %4, 0, -1;\n"
        "shfl.sync.up.b32 d1, %3, %4, 0, -1;\n"
        "@p fma.rn.f32 %0, %2, e0, %0;\n"
        "@p fma.rn.f32 %1, %3, e1, %1;\n"
        "@p mul.rn.f32 %2, %2, d0;\n"
        "@p mul.rn.f32 %3, %3, d1;\n"
        "}"
        : "+f"(end[0]), "+f"(end[1]), "+f"(decay[0]), "+f"(decay[1])
        : "n"(kDistance));
  }
}

// Two states of a chunk, from the carry of tag `chunk` to that of tag chunk + 1.
template <typename Config>
__device__ __forceinline__ void walk_pair(Segment<Config>& segment, float2 rates, CoefficientRows B, CoefficientRows C,
                                          unsigned carry_address, int chunk, unsigned lane) {
  using Element = typename Config::Element;
  constexpr int kSteps = Config::kSteps;
  const float rate[2] = {rates.x, rates.y};
  float decay[2][kSteps];
  float input[2][kSteps];
  float end[2];
  float total[2];
#pragma unroll
  for (int s = 0; s < 2; ++s) total[s] = decay_of<Element>(segment.duration, rate[s]);
#pragma unroll
  for (int t = 0; t < kSteps; t += 4) {
#pragma unroll
    for (int s = 0; s < 2; ++s) {
      const float4 row = read_four(B.address + s * B.state_bytes + t / 4 * B.step_bytes);
      const float b[4] = {row.x, row.y, row.z, row.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        decay[s][t + j] = decay_of<Element>(segment.dt[t + j], rate[s]);
        input[s][t + j] = segment.dtu[t + j] * b[j];
        end[s] = t + j == 0 ? input[s][0] : fmaf(decay[s][t + j], end[s], input[s][t + j]);
      }
    }
  }

  // The carry joins the first segment, so that the scanned ends are the states themselves.
  const Carry carry = await_carry(carry_address, chunk);
  const unsigned first = Config::kQuad;
  if (lane < first) {
#pragma unroll
    for (int s = 0; s < 2; ++s) end[s] = fmaf(total[s], carry.value[s], end[s]);
  }
  static_assert(Config::kSegments == 8, "three rounds");
  join_segments<Config::kQuad, false>(end, total);
  join_segments<2 * Config::kQuad, false>(end, total);
  join_segments<4 * Config::kQuad, true>(end, total);
  if (lane >= 32 - Config::kQuad) send_carry(carry_address, end[0], end[1], chunk + 1);

  float h[2];
#pragma unroll
  for (int s = 0; s < 2; ++s) {
    h[s] = __shfl_up_sync(0xffffffffu, end[s], Config::kQuad);
    if (lane < first) h[s] = carry.value[s];
  }
#pragma unroll
  for (int t = 0; t < kSteps; t += 4) {
#pragma unroll
    for (int s = 0; s < 2; ++s) {
      const float4 row = read_four(C.address + s * C.state_bytes + t / 4 * C.step_bytes);
      const float c[4] = {row.x, row.y, row.z, row.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        h[s] = fmaf(decay[s][t + j], h[s], input[s][t + j]);
        segment.y[t + j] = fmaf(c[j], h[s], segment.y[t + j]);
      }
    }
  }
}

}  // namespace selective_scan
