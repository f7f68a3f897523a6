// A call on host arrays, cut into slices that are brought to a device, computed and fetched one after the other.
#pragma once

#include <functional>
#include <vector>

#include "host_image.h"

namespace selective_scan {

struct Slice {
  HostImage in;
  HostImage out;
  int shared = -1;       // the image of the plan that it also needs; -1: none
  int64_t elements = 0;  // of the op's main output

  // What the slice before leaves in its `out` at carry_out is copied into this one's `in` at carry_in.
  bool carries_in = false;
  size_t carry_in = 0;
  size_t carry_out = 0;
  size_t carry_bytes = 0;

  std::function<Status(const Backend&, const Call&, const std::vector<void*>&)> op;
};

struct HostPlan {
  std::vector<HostImage> shared;  // slices of one image follow each other
  std::vector<Slice> slices;
  size_t arrays = 0;  // of the call
};

}  // namespace selective_scan
