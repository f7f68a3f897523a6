#pragma once

#include "../ops.h"

namespace selective_scan {

// The op of the backend's table.
Status cpu_selective_scan(const Call& call, const SelectiveScanParams& params);

// The backend's describe_scan.
Status cpu_describe_scan(const SelectiveScanParams& params, std::string* words);

}  // namespace selective_scan
