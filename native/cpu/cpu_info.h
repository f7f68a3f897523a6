// What the machine is and how much of it this process may use.
#pragma once

#include <string>

namespace selective_scan {

std::string cpu_name();

// The cores this process may run on, no more than its cgroup's quota, nor than SELECTIVE_SCAN_THREADS where that is a
// positive integer. Settled at the first call.
int cpu_threads();

}  // namespace selective_scan
