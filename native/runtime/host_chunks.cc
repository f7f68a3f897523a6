#include "host_chunks.h"

#include <algorithm>

namespace selective_scan {

void add_chunks(const HostImage& image, const std::vector<bool>& is_direct, size_t most, std::vector<Chunk>* chunks) {
  bool is_open = false;  // whether the last chunk may grow
  for (const Region& region : image.regions) {
    if (region.array != Region::kZeros && is_direct[region.array]) {
      is_open = false;
      continue;
    }
    size_t at = region.image_offset;
    const size_t end = at + region.bytes();
    if (is_open && at - chunks->back().from < most) {
      at = std::min(end, chunks->back().from + most);
      chunks->back().to = at;
    }
    for (; at < end; at += most) chunks->push_back({&image, at, std::min(at + most, end)});
    is_open = true;
  }
}

}  // namespace selective_scan
