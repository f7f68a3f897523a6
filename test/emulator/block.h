// Runs a block of a CUDA kernel on a CPU, with its threads in an order that no kernel may rely on. A thread of the
// block is a fiber: it runs until it has to wait for others. Warps are picked at random and run for a random time, and
// the lanes of a warp one after the other, so whatever a barrier should keep apart and does not is likely to meet.
#pragma once

#include <functional>
#include <random>
#include <string>

namespace emulator {

// What the kernel got wrong, and where in it; ends the process.
[[noreturn]] void fail(const std::string& what);

// What fail() is to say of the case that runs.
void describe_case(const std::string& description);

// Runs `body` once for each thread of block `block`. Fails where the threads wait for each other without end.
void run_block(unsigned block, unsigned threads, std::mt19937& random, const std::function<void()>& body);

// The rest is for the threads of a block.

// Chance that is the same whenever the case is run again.
unsigned random_number();

// Where a thread waits. Those that meet have to be at the same place, or one would take the other's barrier for its
// own.
struct Site {
  const char* file;
  int line;
};

void meet_block(Site site);
void meet_warp(Site site);

// The value that lane `lane` of the warp gives in the same call.
float value_of_lane(float value, unsigned lane, Site site);

}  // namespace emulator
