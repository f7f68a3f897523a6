#include "linear_library.cuh"

#include <map>
#include <memory>
#include <mutex>

#include "cublas_lt.cuh"
#include "linear_deal.cuh"
#include "linear_library_plan.h"
#include "linear_library_product.cuh"
#include "scratch.cuh"

namespace selective_scan {
namespace {

// Products that are remembered; then all are forgotten, since shapes that come and go without end are not worth more.
constexpr size_t kMostProducts = 1024;

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

const void* element(const void* memory, DType dtype, int64_t index) {
  return static_cast<const char*>(memory) + index * element_bytes(dtype);
}

// Of the features from `first` on.
Product product_of(const LinearParams& params, int device, int64_t first, int64_t size, void* out) {
  Product product;
  product.device = device;
  product.dtype = params.dtype;
  product.out_dtype = params.out_dtype;
  product.rows = params.rows;
  product.in_features = params.in_features;
  product.size = size;
  product.x = params.x;
  product.weight = element(params.weight, params.weight_dtype, first * params.in_features);
  product.bias = params.bias == nullptr ? nullptr : element(params.bias, params.bias_dtype, first);
  product.out = out;
  return product;
}

Status enqueue_apart(Library& library, const LinearParams& params, CudaQueue& queue, bool* done) {
  int64_t first = 0;
  for (int i = 0; i < params.outputs; first += params.sizes[i], ++i) {
    const Product product = product_of(params, queue.device, first, params.sizes[i], params.out[i]);
    const Status status = library.enqueue(product, queue, done);
    if (!status.ok() || !*done) return status;
  }
  return {};
}

// Outputs that do not lie as a batch has to get copies of one that does: the same algorithm, and so the same bits.
Status enqueue_batched(Library& library, const LinearParams& params, CudaQueue& queue, bool* done) {
  constexpr int64_t kAlignment = 256;  // as much as an algorithm may ask for
  const int64_t bytes = element_bytes(params.out_dtype);
  Product product = product_of(params, queue.device, 0, params.sizes[0], params.out[0]);
  product.batches = params.outputs;
  product.out_stride = batch_stride(params) / bytes;
  if (product.out_stride > 0) return library.enqueue(product, queue, done);

  const int64_t stride = (params.rows * params.sizes[0] * bytes + kAlignment - 1) / kAlignment * kAlignment;
  Scratch scratch(&queue);
  char* batch = nullptr;
  Status status = scratch.take(params.outputs * stride, &batch);
  if (!status.ok()) return status;
  product.out = batch;
  product.out_stride = stride / bytes;
  status = library.enqueue(product, queue, done);
  if (!status.ok() || !*done) return status;
  DealtFeatures features = {};
  features.pitch = params.sizes[0];
  for (int i = 0; i < params.outputs; ++i) features.from[i] = batch + i * stride;
  return deal_features(params, features, queue);
}

Status enqueue_dealt(Library& library, const LinearParams& params, CudaQueue& queue, bool* done) {
  Scratch scratch(&queue);
  char* whole = nullptr;
  Status status = scratch.take(result_bytes(params), &whole);
  if (!status.ok()) return status;
  status = library.enqueue(product_of(params, queue.device, 0, params.out_features, whole), queue, done);
  if (!status.ok() || !*done) return status;
  DealtFeatures features = {};
  features.pitch = params.out_features;
  int64_t first = 0;
  for (int i = 0; i < params.outputs; first += params.sizes[i], ++i) {
    features.from[i] = element(whole, params.out_dtype, first);
  }
  return deal_features(params, features, queue);
}

LinearParams without_empty_outputs(LinearParams params) {
  int kept = 0;
  for (int i = 0; i < params.outputs; ++i) {
    if (params.sizes[i] == 0) continue;
    params.sizes[kept] = params.sizes[i];
    params.out[kept++] = params.out[i];
  }
  params.outputs = kept;
  return params;
}

}  // namespace

Status linear_library(const LinearParams& given, CudaQueue& queue, bool* done) {
  *done = false;
  const CublasLt* const lt = cublas_lt();
  if (lt == nullptr) return {};
  // Never destroyed: at the end of the process the driver may be gone before it.
  static Library& library = *new Library(*lt);
  const LinearParams params = without_empty_outputs(given);
  const LibraryWay way = library_way(params);
  Status status;
  if (way == LibraryWay::kBatched) status = enqueue_batched(library, params, queue, done);
  if (way == LibraryWay::kDealt) status = enqueue_dealt(library, params, queue, done);
  if (*done || !status.ok()) return status;
  // Also what the library refuses as one: it may have it in parts.
  return enqueue_apart(library, params, queue, done);
}

}  // namespace selective_scan
