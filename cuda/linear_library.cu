#include "linear_library.cuh"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "cublas_lt.cuh"

namespace selective_scan {
namespace {

// Workspace that an algorithm may have.
constexpr uint64_t kMostWorkspaceBytes = 32 << 20;
// Products that are remembered; then all are forgotten, since shapes that come and go without end are not worth more.
constexpr size_t kMostProducts = 1024;

cudaDataType type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return CUDA_R_16F;
    case DType::kBFloat16:
      return CUDA_R_16BF;
    default:
      return CUDA_R_32F;
  }
}

int64_t element_bytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

const void* element(const void* memory, DType dtype, int64_t index) {
  return static_cast<const char*>(memory) + index * element_bytes(dtype);
}

uint32_t alignment_of(const void* memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  return static_cast<uint32_t>(std::min<uintptr_t>(address & (~address + 1), 256));
}

// One output of a layer, [rows, size].
struct Product {
  int device;
  DType dtype;
  DType out_dtype;
  int64_t rows;
  int64_t in_features;
  int64_t size;
  const void* x;
  const void* weight;
  const void* bias;  // of the out dtype
  void* out;

  // All that the choice of an algorithm depends on.
  using Key = std::array<int64_t, 10>;
  Key key() const {
    return {device,
            static_cast<int64_t>(dtype),
            static_cast<int64_t>(out_dtype),
            rows,
            in_features,
            size,
            alignment_of(x),
            alignment_of(weight),
            alignment_of(out),
            bias == nullptr ? 0 : alignment_of(bias)};
  }
};

// cuBLASLt's matrices are column-major, so what it computes is the transpose: out^T = weight x^T.
class Matmul {
 public:
  Matmul(const CublasLt& lt, LtHandle handle, const Product& product) : lt_(lt) {
    const cudaDataType type = type_of(product.dtype);
    is_there_ =
        lt.create_layout(&weight_, type, product.in_features, product.size, product.in_features) == 0 &&
        lt.create_layout(&x_, type, product.in_features, product.rows, product.in_features) == 0 &&
        lt.create_layout(&out_, type_of(product.out_dtype), product.size, product.rows, product.size) == 0 &&
        lt.create_operation(&operation_, kLtCompute32F, CUDA_R_32F) == 0 &&
        lt.set_operation(operation_, LtOperationAttribute::kTransposeA, &kLtTransposed, sizeof(kLtTransposed)) == 0 &&
        (product.bias == nullptr || set_epilogue(product)) && find_algorithm(handle, product);
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

  // One at a time: the bias is part of the operation.
  bool enqueue(LtHandle handle, const Product& product, void* workspace, cudaStream_t stream) {
    const float alpha = 1.0f;
    const float beta = 0.0f;
    if (product.bias != nullptr && !set_bias(product.bias)) return false;
    return lt_.multiply(handle, operation_, &alpha, product.weight, weight_, product.x, x_, &beta, product.out, out_,
                        product.out, out_, &chosen_.algorithm, workspace, chosen_.workspace_bytes, stream) == 0;
  }

 private:
  bool set_bias(const void* bias) {
    return lt_.set_operation(operation_, LtOperationAttribute::kBias, &bias, sizeof(bias)) == 0;
  }

  bool set_epilogue(const Product& product) {
    const auto type = static_cast<int32_t>(type_of(product.out_dtype));
    return lt_.set_operation(operation_, LtOperationAttribute::kEpilogue, &kLtEpilogueBias, sizeof(kLtEpilogueBias)) ==
               0 &&
           lt_.set_operation(operation_, LtOperationAttribute::kBiasType, &type, sizeof(type)) == 0 &&
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
        set(LtPreferenceAttribute::kAlignmentA, alignment_of(product.weight)) &&
        set(LtPreferenceAttribute::kAlignmentB, alignment_of(product.x)) &&
        set(LtPreferenceAttribute::kAlignmentC, alignment_of(product.out)) &&
        set(LtPreferenceAttribute::kAlignmentD, alignment_of(product.out)) &&
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

// What the process keeps: a handle a device, and the products that were asked for.
class Library {
 public:
  explicit Library(const CublasLt& lt) : lt_(lt) {}

  Status enqueue(const Product& product, CudaQueue& queue, bool* done) {
    *done = false;
    const std::lock_guard<std::mutex> lock(mutex_);
    const LtHandle handle = handle_of(product.device);
    if (handle == nullptr) return {};
    Matmul& matmul = matmul_of(handle, product);
    if (!matmul.is_there()) return {};
    void* workspace = nullptr;
    if (matmul.workspace_bytes() > 0) {
      const Status status = allocate(&queue, matmul.workspace_bytes(), &workspace);
      if (!status.ok()) return status;
    }
    *done = matmul.enqueue(handle, product, workspace, queue.stream);
    if (!*done) matmul.forget();
    release(&queue, workspace);
    return {};
  }

 private:
  // With the device the thread's current one. Null where the library refuses it.
  LtHandle handle_of(int device) {
    const auto found = handles_.find(device);
    if (found != handles_.end()) return found->second;
    LtHandle handle = nullptr;
    if (lt_.create(&handle) != 0) handle = nullptr;
    return handles_.emplace(device, handle).first->second;
  }

  Matmul& matmul_of(LtHandle handle, const Product& product) {
    const Product::Key key = product.key();
    const auto found = matmuls_.find(key);
    if (found != matmuls_.end()) return *found->second;
    if (matmuls_.size() >= kMostProducts) matmuls_.clear();
    return *matmuls_.emplace(key, std::make_unique<Matmul>(lt_, handle, product)).first->second;
  }

  const CublasLt& lt_;
  std::mutex mutex_;
  std::map<int, LtHandle> handles_;
  std::map<Product::Key, std::unique_ptr<Matmul>> matmuls_;
};

}  // namespace

Status linear_library(const LinearParams& params, CudaQueue& queue, bool* done) {
  *done = false;
  const CublasLt* const lt = cublas_lt();
  if (lt == nullptr) return {};
  // Never destroyed: at the end of the process the driver may be gone before it.
  static Library& library = *new Library(*lt);
  int64_t first = 0;
  for (int i = 0; i < params.outputs; first += params.sizes[i], ++i) {
    if (params.sizes[i] == 0) continue;
    Product product;
    product.device = queue.device;
    product.dtype = params.dtype;
    product.out_dtype = params.out_dtype;
    product.rows = params.rows;
    product.in_features = params.in_features;
    product.size = params.sizes[i];
    product.x = params.x;
    product.weight = element(params.weight, params.weight_dtype, first * params.in_features);
    product.bias = params.bias == nullptr ? nullptr : element(params.bias, params.bias_dtype, first);
    product.out = params.out[i];
    const Status status = library.enqueue(product, queue, done);
    if (!status.ok() || !*done) return status;
  }
  *done = true;
  return {};
}

}  // namespace selective_scan
