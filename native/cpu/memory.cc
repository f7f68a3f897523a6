#include "memory.h"

#include <cstdint>
#include <cstdlib>

#ifdef _WIN32
#include <malloc.h>
#endif

namespace selective_scan {
namespace {

constexpr size_t kAlignment = 256;

}  // namespace

void* allocate_aligned(size_t bytes) noexcept {
  if (bytes > SIZE_MAX - kAlignment) return nullptr;
  const size_t rounded = bytes == 0 ? kAlignment : (bytes + kAlignment - 1) / kAlignment * kAlignment;
#ifdef _WIN32
  return _aligned_malloc(rounded, kAlignment);
#else
  void* memory = nullptr;
  return posix_memalign(&memory, kAlignment, rounded) == 0 ? memory : nullptr;
#endif
}

void free_aligned(void* memory) noexcept {
#ifdef _WIN32
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

AlignedFloats allocate_floats(size_t count) noexcept {
  if (count > SIZE_MAX / sizeof(float)) return nullptr;
  return AlignedFloats(static_cast<float*>(allocate_aligned(count * sizeof(float))));
}

}  // namespace selective_scan
