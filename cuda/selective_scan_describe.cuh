#pragma once

#include <string>

#include "../native/ops.h"

namespace selective_scan {

// The backend's entry: the kernel variant of a scan and how its time is cut. Needs no device.
Status describe_scan(const SelectiveScanParams& params, std::string* words);

}  // namespace selective_scan
