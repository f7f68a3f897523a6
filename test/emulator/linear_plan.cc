// How a linear layer is computed, by its shape: a table of choices, and what holds of all of them.
#include "../../cuda/linear_plan.h"

#include <cstdio>
#include <initializer_list>

#include "../../cuda/linear_library_plan.h"

namespace {

using selective_scan::DeviceShape;
using selective_scan::DType;
using selective_scan::LibraryWay;
using selective_scan::LinearFacts;
using selective_scan::LinearParams;
using selective_scan::LinearPath;
using selective_scan::LinearPlan;

constexpr DType kWide = DType::kFloat32;
constexpr DType kHalf = DType::kFloat16;
constexpr DType kBrain = DType::kBFloat16;
constexpr DType kFloats[] = {kWide, kHalf, kBrain};

int failures = 0;

LinearParams layer(int64_t rows, int64_t in_features, int64_t out_features, DType dtype = kBrain) {
  LinearParams params;
  params.rows = rows;
  params.in_features = in_features;
  params.out_features = out_features;
  params.dtype = params.weight_dtype = params.bias_dtype = params.out_dtype = dtype;
  params.sizes[0] = out_features;
  return params;
}

void expect(bool holds, const char* what, const LinearParams& p) {
  if (holds) return;
  ++failures;
  std::printf("%s: rows %lld, in %lld, out %lld, x %d, weight %d, out %d\n", what, static_cast<long long>(p.rows),
              static_cast<long long>(p.in_features), static_cast<long long>(p.out_features), static_cast<int>(p.dtype),
              static_cast<int>(p.weight_dtype), static_cast<int>(p.out_dtype));
}

// The layers of mamba-130m and mamba-2.8b and their fastest cuts, as measured.
void check_cuts() {
  struct Case {
    LinearParams params;
    int slice_bits;
    bool prefetches;
  };
  const Case cases[] = {
      {layer(1, 768, 3072), 3, true},    {layer(1, 1536, 80), 3, true},    {layer(1, 48, 1536), 3, true},
      {layer(1, 1536, 768), 3, true},    {layer(1, 768, 50280), 2, false}, {layer(1, 2560, 10240), 3, false},
      {layer(1, 5120, 192), 3, true},    {layer(1, 160, 5120), 2, true},   {layer(1, 5120, 2560), 3, false},
      {layer(1, 2560, 50280), 3, false},
  };
  for (const Case& c : cases) {
    const LinearPlan plan = plan_linear(c.params, {}, {});
    expect(plan.path == LinearPath::kTensorRows, "few rows are not a matter of tensor cores", c.params);
    expect(plan.slice_bits == c.slice_bits, "another cut", c.params);
    expect(plan.prefetches == c.prefetches, "another prefetch", c.params);
  }
}

void check_paths() {
  struct Case {
    LinearParams params;
    LinearFacts facts;
    LinearPath path;
    DeviceShape device = {};
  };
  const LinearFacts own;
  const LinearFacts misaligned = {false, false};
  const LinearFacts library = {true, true};
  const DeviceShape turing = {72, 64 << 10, 75};
  const Case cases[] = {
      {layer(16, 2560, 10240), library, LinearPath::kTensorRows},
      {layer(17, 2560, 10240), library, LinearPath::kLibrary},
      {layer(17, 2560, 10240), own, LinearPath::kTensorTiles},
      {layer(64, 1536, 80), library, LinearPath::kTensorRows},
      {layer(2048, 1536, 80), library, LinearPath::kLibrary},
      {layer(8, 2560, 10240, kWide), library, LinearPath::kVectorRows},
      {layer(16, 768, 3072, kWide), library, LinearPath::kVectorRows},
      {layer(16, 2560, 10240, kWide), library, LinearPath::kLibrary},
      {layer(64, 2560, 10240, kWide), own, LinearPath::kVectorTiles},
      {layer(1, 2561, 10240), misaligned, LinearPath::kVectorRows},
      {layer(64, 2561, 10240), misaligned, LinearPath::kVectorTiles},
      {layer(1, 2560, 10240), own, LinearPath::kVectorRows, turing},
      {layer(64, 2560, 10240, kHalf), own, LinearPath::kVectorTiles, turing},
      {layer(64, 2560, 10240, kHalf), library, LinearPath::kLibrary, turing},
      {layer(1, 0, 10240), library, LinearPath::kTensorRows},
      {layer(64, 0, 10240), library, LinearPath::kTensorTiles},
  };
  for (const Case& c : cases) {
    expect(plan_linear(c.params, c.facts, c.device).path == c.path, "another path", c.params);
  }
}

// cuBLASLt rounds before it adds a bias where rows of 16-bit numbers are not of whole vectors.
void check_bias() {
  const float bias = 0;
  LinearParams params = layer(64, 2560, 10240);
  params.bias = &bias;
  const LinearFacts library = {true, true};
  const LinearFacts misaligned = {false, true};
  expect(plan_linear(params, library, {}).path == LinearPath::kLibrary, "a bias of whole vectors", params);
  expect(plan_linear(params, misaligned, {}).path == LinearPath::kVectorTiles, "a bias beside parts of vectors",
         params);
  params.outputs = 2;
  params.sizes[0] = 10236;
  params.sizes[1] = 4;
  expect(plan_linear(params, library, {}).path == LinearPath::kTensorTiles, "a bias of parts of vectors", params);
  params.out_dtype = params.bias_dtype = kWide;
  expect(plan_linear(params, library, {}).path == LinearPath::kLibrary, "a bias in float32", params);
  expect(plan_linear(params, misaligned, {}).path == LinearPath::kLibrary, "a bias in float32, misaligned", params);
  params.bias_dtype = kBrain;
  expect(plan_linear(params, library, {}).path == LinearPath::kTensorTiles, "a bias of another type", params);
}

LinearParams split(int64_t rows, int64_t in_features, std::initializer_list<int64_t> sizes, DType dtype = kBrain) {
  LinearParams params = layer(rows, in_features, 0, dtype);
  params.outputs = 0;
  for (const int64_t size : sizes) {
    params.out_features += size;
    params.sizes[params.outputs++] = size;
  }
  return params;
}

// The split layers of mamba-130m and mamba-2.8b, and others, with the fastest way that was measured.
void check_library_ways() {
  struct Case {
    LinearParams params;
    LibraryWay way;
  };
  const Case cases[] = {
      {split(2048, 5120, {192}), LibraryWay::kApart},
      {split(64, 5120, {160, 16, 16}), LibraryWay::kDealt},
      {split(16384, 5120, {160, 16, 16}), LibraryWay::kDealt},
      {split(16384, 1536, {48, 16, 16}), LibraryWay::kDealt},
      {split(16384, 5120, {160, 16, 16}, kWide), LibraryWay::kDealt},
      {split(64, 2560, {5120, 5120}), LibraryWay::kBatched},
      {split(2048, 2560, {5120, 5120}), LibraryWay::kApart},
      {split(512, 768, {1536, 1536}), LibraryWay::kBatched},
      {split(8192, 768, {1536, 1536}), LibraryWay::kApart},
      {split(32, 2560, {5120, 5120}, kWide), LibraryWay::kDealt},
      {split(512, 2560, {5120, 5120}, kWide), LibraryWay::kApart},
      {split(64, 768, {1536, 1536}, kWide), LibraryWay::kDealt},
      {split(4096, 4096, {64, 64}), LibraryWay::kDealt},
      {split(4096, 160, {1024, 64, 64}), LibraryWay::kApart},
      {split(4096, 4096, {1024, 64, 64}), LibraryWay::kDealt},
      {split(4096, 4096, {512, 512}), LibraryWay::kApart},
      {split(512, 4096, {2048, 256}), LibraryWay::kDealt},
      {split(4096, 4096, {2048, 256}), LibraryWay::kApart},
  };
  for (const Case& c : cases) expect(library_way(c.params) == c.way, "another way of cuBLASLt", c.params);
}

// A batch is never taken to lie where cuBLASLt would not write it.
void check_batches() {
  LinearParams params = split(64, 2560, {128, 128, 128});
  const auto place = [&](std::initializer_list<int64_t> addresses) {
    int i = 0;
    for (const int64_t address : addresses) params.out[i++] = reinterpret_cast<void*>(address);
    return batch_stride(params);
  };
  constexpr int64_t kFar = int64_t{1} << 41;
  expect(place({4096, 24576, 45056}) == 20480, "outputs that lie evenly", params);
  expect(place({4096, 24576, 45312}) == 0, "outputs that lie unevenly", params);
  expect(place({45056, 24576, 4096}) == 0, "outputs that descend", params);
  expect(place({4096, 24576, 4096}) == 0, "outputs that ascend and descend", params);
  expect(place({4096, 24577, 45058}) == 0, "outputs with parts of elements between them", params);
  expect(place({4096, 4096 + kFar, 4096 + 2 * kFar}) == 0, "outputs that lie too far apart", params);
}

void check_types() {
  for (const DType x : kFloats) {
    for (const DType weight : kFloats) {
      for (const DType out : kFloats) {
        for (const int64_t rows : {1, 200}) {
          LinearParams params = layer(rows, 2560, 10240, x);
          params.weight_dtype = weight;
          params.out_dtype = out;
          const LinearPath path = plan_linear(params, {true, true}, {}).path;
          const bool tensor = path == LinearPath::kTensorRows || path == LinearPath::kTensorTiles;
          expect(!tensor || (x == weight && x != kWide), "tensor cores for two types or float32", params);
          expect(path != LinearPath::kLibrary || (x == weight && (out == x || out == kWide)),
                 "cuBLASLt for types that it has not", params);
        }
      }
    }
  }
}

// A row's bits depend on how a layer is cut.
void check_rows() {
  for (const int64_t in_features : {0, 1, 40, 768, 5120, 100000}) {
    for (const int64_t out_features : {1, 80, 3072, 50280, 1000000}) {
      for (const DType dtype : kFloats) {
        const int bits = plan_linear(layer(1, in_features, out_features, dtype), {}, {}).slice_bits;
        expect(bits >= 0 && (1 << bits) <= selective_scan::kRowsWarps, "more slices than warps",
               layer(1, in_features, out_features, dtype));
        for (const int64_t rows : {2, 8, 16, 64}) {
          const LinearParams params = layer(rows, in_features, out_features, dtype);
          const LinearPlan plan = plan_linear(params, {}, {});
          const bool few = plan.path == LinearPath::kTensorRows || plan.path == LinearPath::kVectorRows;
          expect(!few || plan.slice_bits == bits, "another cut for more rows", params);
          expect(few || rows > 8, "no kernel for few rows", params);
        }
      }
    }
  }
}

}  // namespace

int main() {
  check_cuts();
  check_paths();
  check_bias();
  check_library_ways();
  check_batches();
  check_types();
  check_rows();
  if (failures == 0) std::printf("the plans of linear layers: all right\n");
  return failures == 0 ? 0 : 1;
}
