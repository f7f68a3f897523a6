#include "suite.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "block.h"
#include "memory.h"
#include "scan_problem.h"
#include "scan_reference.h"

namespace emulator {
namespace {

void run_kernel(const KernelVariant& variant, const ScanProblem& problem, std::mt19937& random) {
  const selective_scan::ScanArgs args = problem.args();
  const int warps = problem.shape.warps;
  const unsigned threads = 32 * (warps + variant.other_warps(warps));
  const int64_t blocks = selective_scan::scan_blocks(args.params, {{}, variant.capacity, variant.warp_channels, warps});
  for (int64_t block = 0; block < blocks; ++block) {
    clear_shared_memory(variant.shared_bytes(args.params, warps), threads);
    run_block(static_cast<unsigned>(block), threads, random, [&] { variant.kernel(args, warps); });
    check_shared_memory();
  }
  problem.out.array().check("out");
  problem.last.array().check("the last state");
}

struct Arguments {
  unsigned seed;
  int cases;
};

void run_case(const KernelVariant& variant, int number, int round, const Arguments& arguments, const char* program) {
  std::seed_seq seeds{arguments.seed, static_cast<unsigned>(number), static_cast<unsigned>(round)};
  std::mt19937 random(seeds);
  const ScanShape shape = draw_shape(variant, round, random);
  describe_case(variant.name + ": " + shape.describe() + "\n  again: " + program + ' ' +
                std::to_string(arguments.seed) + ' ' + std::to_string(arguments.cases) + ' ' + std::to_string(number) +
                ' ' + std::to_string(round));
  const ScanProblem problem(variant, shape, random);
  run_kernel(variant, problem, random);
  check_results(problem);
}

}  // namespace

int run_suite(const std::vector<KernelVariant>& variants, int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: %s <seed> <cases a variant> [<variant> <case>]\n", argv[0]);
    return 2;
  }
  std::signal(SIGSEGV, [](int) { fail("an access to memory that nobody has"); });
  const Arguments arguments{static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)), std::atoi(argv[2])};
  if (argc == 5) {
    const int number = std::atoi(argv[3]);
    run_case(variants.at(number), number, std::atoi(argv[4]), arguments, argv[0]);
    std::printf("right\n");
    return 0;
  }
  for (size_t number = 0; number < variants.size(); ++number) {
    for (int round = 0; round < arguments.cases; ++round) {
      run_case(variants[number], static_cast<int>(number), round, arguments, argv[0]);
    }
  }
  std::printf("%zu variants, %d cases each, seed %u: all right\n", variants.size(), arguments.cases, arguments.seed);
  return 0;
}

}  // namespace emulator
