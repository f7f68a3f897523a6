// A block's shared memory, the asynchronous copies into it, and the device memory that they come from. Memory that
// nobody has written is filled with kUnwritten, which is a NaN in float32, float16 and bfloat16.
#pragma once

#include <cstddef>
#include <vector>

namespace emulator {

constexpr unsigned char kUnwritten = 0xff;

// An array of device memory, on a boundary of 256 bytes, between guards. Copies may read an input for as long as it
// lives.
class DeviceArray {
 public:
  enum class Use { kInput, kOutput };

  DeviceArray(size_t bytes, Use use);
  ~DeviceArray();
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  void* data() { return memory_; }
  // Fails if a guard was written.
  void check(const char* name) const;

 private:
  std::vector<unsigned char> all_;
  unsigned char* memory_;
  size_t bytes_;
};

// Starts a block: shared memory is unwritten, no copy is under way.
void clear_shared_memory(size_t bytes, unsigned threads);
// Fails if memory behind the block's was written.
void check_shared_memory();

unsigned char* shared_memory();

// Copies of the thread that calls. A copy lands at once or, as likely, when it is waited for, and its target is
// unwritten until then: those are the earliest and the latest that a GPU might bring it.
void start_copy(void* shared, const void* global, size_t bytes);
void close_copies();
void finish_copies(size_t groups_under_way);

}  // namespace emulator
