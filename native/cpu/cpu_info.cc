#include "cpu_info.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace selective_scan {
namespace {

int visible_cores() {
#ifdef __linux__
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 0) return CPU_COUNT(&cores);
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// A container is often held to a share of the cores it sees: cgroup v2 states it as microseconds in a period.
int quota_cores(int cores) {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return cores;  // "max" is no number
  return std::max(1, static_cast<int>(std::min<double>(cores, quota / period + 0.999)));
}

int requested_threads(int otherwise) {
  const char* text = std::getenv("SELECTIVE_SCAN_THREADS");
  if (!text) return otherwise;
  char* end = nullptr;
  const long threads = std::strtol(text, &end, 10);
  return end != text && *end == '\0' && threads > 0 ? static_cast<int>(std::min<long>(threads, otherwise)) : otherwise;
}

}  // namespace

std::string cpu_name() {
#ifdef __APPLE__
  char brand[256] = {};
  size_t size = sizeof brand - 1;
  if (sysctlbyname("machdep.cpu.brand_string", brand, &size, nullptr, 0) == 0) return brand;
#endif
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(':');
    const size_t start = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "CPU";
}

int cpu_threads() {
  static const int threads = requested_threads(quota_cores(visible_cores()));
  return threads;
}

}  // namespace selective_scan
