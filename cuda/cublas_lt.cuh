// cuBLASLt's functions, if the library is on this machine. It is opened at run time: linked, its half a gigabyte would
// be a condition of every install. Its interface is C with opaque types, the same from version 12 to 13; what of it is
// needed is declared here, from NVIDIA's documentation of it.
#pragma once

#include <cuda_runtime.h>
#include <library_types.h>

#include <cstddef>
#include <cstdint>

namespace selective_scan {

using LtHandle = struct LtHandleOpaque*;
using LtOperation = struct LtOperationOpaque*;    // cublasLtMatmulDesc_t
using LtLayout = struct LtLayoutOpaque*;          // cublasLtMatrixLayout_t
using LtPreference = struct LtPreferenceOpaque*;  // cublasLtMatmulPreference_t
using LtStatus = int;                             // cublasStatus_t; 0 is success

struct LtAlgorithm {
  uint64_t data[8];
};

struct LtHeuristic {
  LtAlgorithm algorithm;
  size_t workspace_bytes;
  LtStatus status;
  float waves;
  int reserved[4];
};

// Values of the library's enumerations.
constexpr int kLtCompute32F = 68;           // CUBLAS_COMPUTE_32F: float32 products are not TF32
constexpr int32_t kLtTransposed = 1;        // CUBLAS_OP_T
constexpr uint32_t kLtEpilogueBias = 4;     // CUBLASLT_EPILOGUE_BIAS
constexpr uint32_t kLtReduceInFloat32 = 2;  // CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE

enum class LtOperationAttribute : int {
  kTransposeA = 3,
  kEpilogue = 7,
  kBias = 8,
  kBiasBatchStride = 10,
  kBiasType = 26
};

enum class LtLayoutAttribute : int { kBatches = 5, kBatchStride = 6 };

enum class LtPreferenceAttribute : int {
  kMostWorkspaceBytes = 1,
  kReductionSchemes = 3,
  kAlignmentA = 5,
  kAlignmentB = 6,
  kAlignmentC = 7,
  kAlignmentD = 8
};

struct CublasLt {
  LtStatus (*create)(LtHandle*);
  LtStatus (*create_operation)(LtOperation*, int compute_type, cudaDataType scale_type);
  LtStatus (*destroy_operation)(LtOperation);
  LtStatus (*set_operation)(LtOperation, LtOperationAttribute, const void*, size_t);
  LtStatus (*create_layout)(LtLayout*, cudaDataType, uint64_t rows, uint64_t columns, int64_t pitch);
  LtStatus (*destroy_layout)(LtLayout);
  LtStatus (*set_layout)(LtLayout, LtLayoutAttribute, const void*, size_t);
  LtStatus (*create_preference)(LtPreference*);
  LtStatus (*destroy_preference)(LtPreference);
  LtStatus (*set_preference)(LtPreference, LtPreferenceAttribute, const void*, size_t);
  LtStatus (*find_algorithms)(LtHandle, LtOperation, LtLayout a, LtLayout b, LtLayout c, LtLayout d, LtPreference,
                              int most, LtHeuristic*, int* found);
  LtStatus (*multiply)(LtHandle, LtOperation, const void* alpha, const void* a, LtLayout, const void* b, LtLayout,
                       const void* beta, const void* c, LtLayout, void* d, LtLayout, const LtAlgorithm*,
                       void* workspace, size_t workspace_bytes, cudaStream_t);
};

// Null where there is no cuBLASLt of a version that is known, or the environment has SELECTIVE_SCAN_CUBLASLT=0; any
// other value of that is the path of the library. The first call opens it.
const CublasLt* cublas_lt();

inline bool has_cublas_lt() { return cublas_lt() != nullptr; }

}  // namespace selective_scan
