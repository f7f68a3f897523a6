// A hint to the system about memory that is about to be written for the first time.
#pragma once

#include <cstddef>

namespace selective_scan {

// Has large pages stand behind memory where the system does that on request: each page costs an interrupt when it is
// first written, and with small ones several threads do little else.
void use_huge_pages(void* memory, size_t bytes);

}  // namespace selective_scan
