// A problem for a scan kernel: its sizes, and arrays of random numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernel_variant.h"
#include "memory.h"

namespace emulator {

struct ScanShape {
  int warps = 1;  // of a block, that own channels
  int batch = 1;
  int group_channels = 1;
  int groups = 1;
  int seqlen = 1;
  int dstate = 1;
  std::vector<int32_t> cu_seqlens;  // of packed sequences; else empty
  int chunk_steps = 0;              // of a piece of a sequence that is scanned in chunks; else 0
  bool constant_b = false;
  bool constant_c = false;
  bool z = false;
  bool D = false;
  bool bias = false;
  bool softplus = false;
  bool initial_state = false;

  int dim() const { return group_channels * groups; }
  int chunks() const { return chunk_steps == 0 ? 1 : (seqlen + chunk_steps - 1) / chunk_steps; }
  int pieces() const { return cu_seqlens.empty() ? batch * chunks() : static_cast<int>(cu_seqlens.size()) - 1; }
  std::string describe() const;
};

// Rounds 0 to 3 are whole tiles, tails and unaligned rows, packed sequences with empty ones, and chunks; the others
// draw everything.
ScanShape draw_shape(const KernelVariant& variant, int round, std::mt19937& random);

// Numbers in device memory, of a type that is known at run time.
class Numbers {
 public:
  Numbers(size_t count, selective_scan::DType dtype, DeviceArray::Use use);
  double operator[](size_t i) const;
  void draw(float least, float most, std::mt19937& random);
  void* data() const { return array_->data(); }
  const DeviceArray& array() const { return *array_; }

 private:
  void set(size_t i, float value);

  size_t count_;
  selective_scan::DType dtype_;
  std::unique_ptr<DeviceArray> array_;
};

struct ScanProblem {
  ScanProblem(const KernelVariant& variant, const ScanShape& shape, std::mt19937& random);
  // As a launch tells the kernel.
  selective_scan::ScanArgs args() const;

  ScanShape shape;
  selective_scan::DType dtype;
  selective_scan::Layout layout;
  bool is_complex;  // A, B, C and the states: pairs of numbers
  Numbers u, delta, z, B, C, A, D, bias, initial, out, last;
};

}  // namespace emulator
