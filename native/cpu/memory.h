// Aligned memory that fails by returning null.
#pragma once

#include <cstddef>
#include <memory>

namespace selective_scan {

void* allocate_aligned(size_t bytes) noexcept;
void free_aligned(void* memory) noexcept;

struct FreeAligned {
  void operator()(void* memory) const noexcept { free_aligned(memory); }
};

// Owns floats of scratch; null where the allocation failed.
using AlignedFloats = std::unique_ptr<float[], FreeAligned>;
AlignedFloats allocate_floats(size_t count) noexcept;

}  // namespace selective_scan
