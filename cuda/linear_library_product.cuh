// Products of cuBLASLt, and how it computes them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "cublas_lt.cuh"
#include "linear_plan.h"

namespace selective_scan {

// The products of x with one or several matrices of weights, one behind the other, each with a bias or none of them.
struct Product {
  int device;
  DType dtype;
  DType out_dtype;
  int64_t rows;
  int64_t in_features;
  int64_t size;  // of an output: its features
  const void* x;
  const void* weight;
  const void* bias;  // of the out dtype
  void* out;
  int32_t batches = 1;
  int64_t out_stride = 0;  // elements from an output to the next

  int64_t weight_stride() const { return size * in_features; }

  // Of all batches; bytes, at most 256.
  uint32_t x_alignment() const { return alignment(x, 0); }
  uint32_t weight_alignment() const { return alignment(weight, weight_stride() * element_bytes(dtype)); }
  uint32_t out_alignment() const { return alignment(out, out_stride * element_bytes(out_dtype)); }
  uint32_t bias_alignment() const { return alignment(bias, size * element_bytes(out_dtype)); }

  // All that the choice of an algorithm depends on.
  using Key = std::array<int64_t, 11>;
  Key key() const {
    return {device,
            static_cast<int64_t>(dtype),
            static_cast<int64_t>(out_dtype),
            rows,
            in_features,
            size,
            batches,
            x_alignment(),
            weight_alignment(),
            out_alignment(),
            bias == nullptr ? 0 : bias_alignment()};
  }

 private:
  uint32_t alignment(const void* memory, int64_t stride) const {
    const uint64_t bits = reinterpret_cast<uintptr_t>(memory) | (batches > 1 ? static_cast<uint64_t>(stride) : 0);
    return static_cast<uint32_t>(std::min<uint64_t>(bits & (~bits + 1), 256));
  }
};

// cuBLASLt's matrices are column-major, so what it computes is the transpose: out^T = weight x^T.
class Matmul {
 public:
  Matmul(const CublasLt& lt, LtHandle handle, const Product& product) : lt_(lt) {
    const cudaDataType type = type_of(product.dtype);
    const cudaDataType out_type = type_of(product.out_dtype);
    is_there_ =
        lt.create_layout(&weight_, type, product.in_features, product.size, product.in_features) == 0 &&
        lt.create_layout(&x_, type, product.in_features, product.rows, product.in_features) == 0 &&
        lt.create_layout(&out_, out_type, product.size, product.rows, product.size) == 0 &&
        lt.create_operation(&operation_, kLtCompute32F, CUDA_R_32F) == 0 &&
        lt.set_operation(operation_, LtOperationAttribute::kTransposeA, &kLtTransposed, sizeof(kLtTransposed)) == 0 &&
        (product.batches == 1 || set_batches(product)) && (product.bias == nullptr || set_epilogue(product)) &&
        find_algorithm(handle, product);
  }

  ~Matmul() {
    if (operation_ != nullptr) lt_.destroy_operation(operation_);
    for (const LtLayout layout : {weight_, x_, out_}) {
      if (layout != nullptr) lt_.destroy_layout(layout);
    }
  }
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  bool is_there() const { return is_there_; }
  void forget() { is_there_ = false; }
  size_t workspace_bytes() const { return chosen_.workspace_bytes; }

  // Of a product of the same key. One at a time: the bias is part of the operation, and the stride of the outputs.
  bool enqueue(LtHandle handle, const Product& product, void* workspace, cudaStream_t stream) {
    const float alpha = 1.0f;
    const float beta = 0.0f;
    if (product.batches > 1 && !set_stride(out_, product.out_stride)) return false;
    if (product.bias != nullptr && !set_bias(product.bias)) return false;
    return lt_.multiply(handle, operation_, &alpha, product.weight, weight_, product.x, x_, &beta, product.out, out_,
                        product.out, out_, &chosen_.algorithm, workspace, chosen_.workspace_bytes, stream) == 0;
  }

 private:
  // Workspace that an algorithm may have.
  static constexpr uint64_t kMostWorkspaceBytes = 32 << 20;

  static cudaDataType type_of(DType dtype) {
    switch (dtype) {
      case DType::kFloat16:
        return CUDA_R_16F;
      case DType::kBFloat16:
        return CUDA_R_16BF;
      default:
        return CUDA_R_32F;
    }
  }

  bool set_stride(LtLayout layout, int64_t stride) {
    return lt_.set_layout(layout, LtLayoutAttribute::kBatchStride, &stride, sizeof(stride)) == 0;
  }

  bool set_batches(const Product& product) {
    for (const LtLayout layout : {weight_, x_, out_}) {
      if (lt_.set_layout(layout, LtLayoutAttribute::kBatches, &product.batches, sizeof(product.batches)) != 0) {
        return false;
      }
    }
    return set_stride(weight_, product.weight_stride()) && set_stride(x_, 0) && set_stride(out_, product.out_stride);
  }

  bool set_bias(const void* bias) {
    return lt_.set_operation(operation_, LtOperationAttribute::kBias, &bias, sizeof(bias)) == 0;
  }

  bool set_epilogue(const Product& product) {
    const auto type = static_cast<int32_t>(type_of(product.out_dtype));
    const auto set = [&](LtOperationAttribute attribute, auto value) {
      return lt_.set_operation(operation_, attribute, &value, sizeof(value)) == 0;
    };
    return set(LtOperationAttribute::kEpilogue, kLtEpilogueBias) && set(LtOperationAttribute::kBiasType, type) &&
           (product.batches == 1 || set(LtOperationAttribute::kBiasBatchStride, product.size)) &&
           set_bias(product.bias);
  }

  bool find_algorithm(LtHandle handle, const Product& product) {
    LtPreference preference = nullptr;
    if (lt_.create_preference(&preference) != 0) return false;
    const auto set = [&](LtPreferenceAttribute attribute, auto value) {
      return lt_.set_preference(preference, attribute, &value, sizeof(value)) == 0;
    };
    int found = 0;
    // Parts of a sum are added in float32 and in a fixed order, so that a call repeated gives the same bits.
    const bool asked =
        set(LtPreferenceAttribute::kMostWorkspaceBytes, kMostWorkspaceBytes) &&
        set(LtPreferenceAttribute::kReductionSchemes, kLtReduceInFloat32) &&
        set(LtPreferenceAttribute::kAlignmentA, product.weight_alignment()) &&
        set(LtPreferenceAttribute::kAlignmentB, product.x_alignment()) &&
        set(LtPreferenceAttribute::kAlignmentC, product.out_alignment()) &&
        set(LtPreferenceAttribute::kAlignmentD, product.out_alignment()) &&
        lt_.find_algorithms(handle, operation_, weight_, x_, out_, out_, preference, 1, &chosen_, &found) == 0;
    lt_.destroy_preference(preference);
    return asked && found > 0 && chosen_.status == 0;
  }

  const CublasLt& lt_;
  LtLayout weight_ = nullptr;
  LtLayout x_ = nullptr;
  LtLayout out_ = nullptr;
  LtOperation operation_ = nullptr;
  LtHeuristic chosen_ = {};
  bool is_there_ = false;
};

}  // namespace selective_scan
