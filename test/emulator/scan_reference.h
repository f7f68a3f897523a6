// The scan as the paper defines it, in float64, step by step.
#pragma once

#include "scan_problem.h"

namespace emulator {

// Fails where the problem's out or last state is not what it should be.
void check_results(const ScanProblem& problem);

}  // namespace emulator
