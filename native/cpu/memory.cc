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

// Not rounded up, so that AddressSanitizer sees the first access past an array's end.
void* allocate_aligned(size_t bytes) noexcept {
  const size_t size = bytes == 0 ? 1 : bytes;
#ifdef _WIN32
  return _aligned_malloc(size, kAlignment);
#else
  void* memory = nullptr;
  return posix_memalign(&memory, kAlignment, size) == 0 ? memory : nullptr;
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
