// Moves the bytes of one storage into another of the same size, on any two devices.
#pragma once

#include <memory>

#include "storage.h"

namespace selective_scan {

// The queue that orders a transfer: the GPU's, if one takes part.
Queue& transfer_queue(const Storage& source, const Storage& target);

// To be run in that queue.
Status transfer(const Storage& source, const Storage& target);

}  // namespace selective_scan
