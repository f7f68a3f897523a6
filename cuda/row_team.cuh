// The blocks that share a row: a thread block cluster where the device has those (compute capability 9.0), else one
// block. Blocks of a cluster write to each other's shared memory.
#pragma once

#include <cstdint>

#include "early_launch.cuh"
#include "row_block.cuh"

namespace selective_scan {

constexpr unsigned kMostTeamBlocks = 8;  // the most that every device with clusters takes

struct TeamMemory {
  uint64_t of_warps[kMostRowWarps];
  // What each block has found. Used in turn, since a block may find more before another has read.
  uint64_t of_blocks[2][kMostTeamBlocks];
};

class RowTeam {
 public:
  // All threads have to construct it, at the start of the kernel.
  __device__ __forceinline__ explicit RowTeam(TeamMemory& memory) : memory_(memory) {
#if __CUDA_ARCH__ >= 900
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank_));
    asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(size_));
    // The others' memory is not there before they are.
    if (size_ > 1) asm volatile("barrier.cluster.arrive.relaxed; barrier.cluster.wait;" ::: "memory");
#endif
  }

  __device__ __forceinline__ unsigned rank() const { return rank_; }
  __device__ __forceinline__ unsigned size() const { return size_; }

  // Of the values of all threads of all blocks, all of which have to call it. 0 changes nothing.
  template <typename Combine>
  __device__ __forceinline__ uint64_t combine(uint64_t value, Combine combine) {
    value = combine_block(value, uint64_t{0}, memory_.of_warps, combine);
    if (size_ == 1) return value;
    uint64_t* const found = memory_.of_blocks[turn_];
    turn_ ^= 1;
    if (threadIdx.x < size_) store_in_block(threadIdx.x, &found[rank_], value);
    meet();
    value = found[0];
    for (unsigned i = 1; i < size_; ++i) value = combine(value, found[i]);
    return value;
  }

 private:
  // Until all threads of all blocks are here; what they wrote before is then visible to all.
  static __device__ __forceinline__ void meet() {
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
#endif
  }

  // Where `own` is in that block's shared memory.
  static __device__ __forceinline__ void store_in_block(unsigned block, const uint64_t* own, uint64_t value) {
#if __CUDA_ARCH__ >= 900
    const auto here = static_cast<unsigned>(__cvta_generic_to_shared(own));
    unsigned there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(here), "r"(block));
    asm volatile("st.shared::cluster.u64 [%0], %1;" ::"r"(there), "l"(value) : "memory");
#endif
  }

  TeamMemory& memory_;
  unsigned rank_ = 0;
  unsigned size_ = 1;
  unsigned turn_ = 0;
};

// Launches a kernel early, in teams of so many blocks: of one below compute capability 9.0.
template <typename Args>
cudaError_t launch_teams(void (*kernel)(Args), unsigned teams, unsigned team_blocks, int threads,
                         const CudaQueue& queue, const Args& args) {
  if (team_blocks == 1) return launch_early(kernel, teams, threads, queue, args);
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim = {team_blocks, 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim.x = teams * team_blocks;
  config.blockDim.x = static_cast<unsigned>(threads);
  config.stream = queue.stream;
  config.attrs = attributes;
  config.numAttrs = 2;
  return cudaLaunchKernelEx(&config, kernel, args);
}

}  // namespace selective_scan
