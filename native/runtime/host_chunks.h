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

// How many threads copy so many chunks at one end of the link. A thread copies 5 GB/s or less, and less than half of it
// to memory that is new: so it takes all cores at each end, and those that have nothing to do sleep.
size_t copying_threads(size_t chunks);

}  // namespace selective_scan
