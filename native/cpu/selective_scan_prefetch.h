// Asks for tiles before they are wanted. A tile's rows lie far apart, and are more than hardware follows on its own.
#pragma once

#include <cstdint>

#include "prefetch.h"
#include "selective_scan_tile.h"

namespace selective_scan {
namespace {

// Tiles of arrays of one form, asked for a step at a time along with other work: all at once they would fill the queue
// of cache misses, and the processor would wait until there is room.
class TilePrefetch {
 public:
  // `parts` steps of the arrays go to one that is asked for.
  explicit TilePrefetch(const Plane& plane, int64_t parts = 1)
      : lane_bytes_(plane.lane_stride * element_bytes(plane)),
        step_bytes_(plane.step_stride * element_bytes(plane)),
        parts_(parts),
        // Lanes side by side come with their step; else each step of a square asks for another lane.
        lane_mask_(plane.lane_stride == 1 ? 0 : kLanes - 1) {}

  // No data: no tile. Tiles past the capacity are left out: with so many states it is not memory that takes the time.
  void add(const void* data, int64_t lane, int64_t step) {
    if (!data || count_ == kCapacity) return;
    const int64_t offset = lane * lane_bytes_ + step * step_bytes_;
    tiles_[count_++] = reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(offset);
  }

  void ask(int64_t step) const {
    const int64_t lane = step & lane_mask_;
    const int64_t offset = (step - lane) * parts_ * step_bytes_ + lane * lane_bytes_;
    for (int i = 0; i < count_; ++i) prefetch(tiles_[i] + static_cast<uintptr_t>(offset));
  }

 private:
  static constexpr int kCapacity = 8;

  static int64_t element_bytes(const Plane& plane) { return plane.dtype == DType::kFloat32 ? 4 : 2; }

  const int64_t lane_bytes_;
  const int64_t step_bytes_;
  const int64_t parts_;
  const int64_t lane_mask_;
  int count_ = 0;
  uintptr_t tiles_[kCapacity];
};

}  // namespace
}  // namespace selective_scan
