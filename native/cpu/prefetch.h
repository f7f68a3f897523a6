// Asks for a line of memory before it is wanted. Any address will do: of one that is not there nothing comes.
#pragma once

#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace selective_scan {
namespace {

inline void prefetch(uintptr_t address) {
#if !defined(_MSC_VER) || defined(__clang__)
  __builtin_prefetch(reinterpret_cast<const void*>(address));
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
#else
  __prefetch(reinterpret_cast<const void*>(address));
#endif
}

}  // namespace
}  // namespace selective_scan
