// The pieces in which images pass through pinned slots.
#pragma once

#include <vector>

#include "host_image.h"

namespace selective_scan {

struct Chunk {
  const HostImage* image;
  size_t from;
  size_t to;
};

// Adds the image's chunks of at most `most` bytes each to the list. Regions of arrays that the device reads by itself
// are left out: no chunk has any of their bytes.
void add_chunks(const HostImage& image, const std::vector<bool>& is_direct, size_t most, std::vector<Chunk>* chunks);

}  // namespace selective_scan
