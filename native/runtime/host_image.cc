#include "host_image.h"

#include <algorithm>
#include <cstring>

namespace selective_scan {

namespace {

constexpr size_t kAlignment = 256;  // of an allocation, which ops rely on

// Calls visit(host offset, image offset, bytes) for each contiguous piece of a region within [from, to) of the image.
template <typename Visit>
void for_each_piece(const Region& region, size_t from, size_t to, const Visit& visit) {
  const size_t begin = std::max(from, region.image_offset);
  const size_t end = std::min(to, region.image_offset + region.bytes());
  for (size_t at = begin; at < end;) {
    const size_t row = (at - region.image_offset) / region.rows.bytes;
    const size_t in_row = (at - region.image_offset) % region.rows.bytes;
    const size_t bytes = std::min(region.rows.bytes - in_row, end - at);
    visit(region.host_offset + row * region.rows.stride + in_row, at, bytes);
    at += bytes;
  }
}

}  // namespace

size_t HostImage::place(int array, size_t size) {
  const size_t offset = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  places.push_back({array, offset});
  bytes = offset + size;
  return offset;
}

void HostImage::add(int array, size_t host_offset, HostRows rows) {
  if (rows.stride == rows.bytes) rows = {rows.bytes * rows.count, 1, 0};
  const size_t offset = place(array, rows.bytes * rows.count);
  if (rows.bytes * rows.count > 0) regions.push_back({array, host_offset, offset, rows});
}

void HostImage::locate(void* base, std::vector<void*>* addresses) const {
  for (const Place& each : places) (*addresses)[each.array] = static_cast<char*>(base) + each.offset;
}

void HostImage::gather(const HostArrays& arrays, size_t from, size_t to, char* target) const {
  for (const Region& region : regions) {
    for_each_piece(region, from, to, [&](size_t host, size_t image, size_t size) {
      if (region.array == Region::kZeros) {
        std::memset(target + (image - from), 0, size);
      } else {
        std::memcpy(target + (image - from), arrays[region.array] + host, size);
      }
    });
  }
}

void HostImage::scatter(const HostArrays& arrays, size_t from, size_t to, const char* source) const {
  for (const Region& region : regions) {
    for_each_piece(region, from, to, [&](size_t host, size_t image, size_t size) {
      std::memcpy(arrays[region.array] + host, source + (image - from), size);
    });
  }
}

}  // namespace selective_scan
