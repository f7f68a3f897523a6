#include "vector_set.h"

#include <cstdlib>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

namespace selective_scan {
namespace {

#if defined(_MSC_VER) && defined(_M_X64)
// The instructions, and that the system saves the registers they use.
bool has_features(int leaf1_ecx, int leaf7_ebx, unsigned long long saved) {
  int leaf1[4], leaf7[4];
  __cpuid(leaf1, 1);
  __cpuidex(leaf7, 7, 0);
  const int os_saves = 1 << 27;
  if ((leaf1[2] & (leaf1_ecx | os_saves)) != (leaf1_ecx | os_saves)) return false;
  return (leaf7[1] & leaf7_ebx) == leaf7_ebx && (_xgetbv(0) & saved) == saved;
}
bool has_avx2() { return has_features(1 << 12 | 1 << 29, 1 << 5, 0x6); }
bool has_avx512() { return has_avx2() && has_features(0, 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31, 0xe6); }
#elif defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

bool available(VectorSet set) {
  switch (set) {
#if defined(__x86_64__) || defined(_M_X64)
    case VectorSet::kAvx512:
      return has_avx512();
    case VectorSet::kAvx2:
      return has_avx2();
#elif defined(__aarch64__) || defined(_M_ARM64)
    case VectorSet::kNeon:
      return true;
#endif
    case VectorSet::kPortable:
      return true;
    default:
      return false;
  }
}

constexpr VectorSet kBestFirst[] = {VectorSet::kAvx512, VectorSet::kAvx2, VectorSet::kNeon, VectorSet::kPortable};

struct Choice {
  VectorSet set = VectorSet::kPortable;
  Status status;
};

Choice choose() {
  Choice choice;
  const char* requested = std::getenv("SELECTIVE_SCAN_VECTOR_SET");
  const std::string wanted = requested ? requested : "";
  std::string names;
  for (const VectorSet set : kBestFirst) {
    if (!available(set)) continue;
    if (wanted.empty() || wanted == vector_set_name(set)) {
      choice.set = set;
      return choice;
    }
    names += (names.empty() ? "" : ", ") + std::string(vector_set_name(set));
  }
  choice.status.code = Code::kUnsupported;
  choice.status.message =
      "Expected SELECTIVE_SCAN_VECTOR_SET to be one of " + names + " on this machine but received '" + wanted + "'.";
  return choice;
}

}  // namespace

const char* vector_set_name(VectorSet set) {
  switch (set) {
    case VectorSet::kAvx512:
      return "avx512";
    case VectorSet::kAvx2:
      return "avx2";
    case VectorSet::kNeon:
      return "neon";
    case VectorSet::kPortable:
      break;
  }
  return "portable";
}

Status choose_vector_set(VectorSet* set) {
  static const Choice choice = choose();
  *set = choice.set;
  return choice.status;
}

}  // namespace selective_scan
