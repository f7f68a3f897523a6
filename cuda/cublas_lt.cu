#include "cublas_lt.cuh"

#include <cstdlib>
#include <cstring>

#include "shared_library.h"

namespace selective_scan {
namespace {

#ifdef _WIN32
constexpr const char* kNames[] = {"cublasLt64_13.dll", "cublasLt64_12.dll"};
#else
// The last two are where a toolkit is that the loader was not told of.
constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13",
                                  "/usr/local/cuda/lib64/libcublasLt.so.12"};
#endif

// Of the versions whose interface is the one declared; as cublasLtGetVersion counts.
constexpr size_t kFirstVersion = 120000;
constexpr size_t kPastVersions = 140000;

void* open_any() {
  const char* const chosen = std::getenv("SELECTIVE_SCAN_CUBLASLT");
  if (chosen != nullptr && *chosen != '\0') return std::strcmp(chosen, "0") == 0 ? nullptr : open_library(chosen);
  for (const char* name : kNames) {
    if (void* const library = open_library(name)) return library;
  }
  return nullptr;
}

template <typename Function>
bool find(void* library, const char* name, Function* function) {
  *function = find_function<Function>(library, name);
  return *function != nullptr;
}

bool find_all(void* library, CublasLt* lt) {
  size_t (*version)() = nullptr;
  if (!find(library, "cublasLtGetVersion", &version)) return false;
  if (version() < kFirstVersion || version() >= kPastVersions) return false;
  return find(library, "cublasLtCreate", &lt->create) &&
         find(library, "cublasLtMatmulDescCreate", &lt->create_operation) &&
         find(library, "cublasLtMatmulDescDestroy", &lt->destroy_operation) &&
         find(library, "cublasLtMatmulDescSetAttribute", &lt->set_operation) &&
         find(library, "cublasLtMatrixLayoutCreate", &lt->create_layout) &&
         find(library, "cublasLtMatrixLayoutDestroy", &lt->destroy_layout) &&
         find(library, "cublasLtMatrixLayoutSetAttribute", &lt->set_layout) &&
         find(library, "cublasLtMatmulPreferenceCreate", &lt->create_preference) &&
         find(library, "cublasLtMatmulPreferenceDestroy", &lt->destroy_preference) &&
         find(library, "cublasLtMatmulPreferenceSetAttribute", &lt->set_preference) &&
         find(library, "cublasLtMatmulAlgoGetHeuristic", &lt->find_algorithms) &&
         find(library, "cublasLtMatmul", &lt->multiply);
}

}  // namespace

const CublasLt* cublas_lt() {
  static CublasLt lt = {};
  static const bool found = [] {
    void* const library = open_any();
    return library != nullptr && find_all(library, &lt);
  }();
  return found ? &lt : nullptr;
}

}  // namespace selective_scan
