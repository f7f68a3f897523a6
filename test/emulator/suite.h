// Runs the variants of a kernel on random problems.
#pragma once

#include <vector>

#include "kernel_variant.h"

namespace emulator {

// The main function of a kernel's test. Arguments: seed, cases of each variant, and, to run that one only, a variant's
// number and a case's. Prints how many cases were right, or what was wrong and how to have it again, and then fails.
int run_suite(const std::vector<KernelVariant>& variants, int argc, char** argv);

}  // namespace emulator
