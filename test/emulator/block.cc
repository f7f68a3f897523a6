#include "block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <setjmp.h>
#include <ucontext.h>

#include "cuda_names.h"

namespace emulator {
namespace {

constexpr unsigned kWarp = 32;
constexpr unsigned kMostThreads = 1024;  // of a block
constexpr size_t kStackBytes = 64 << 10;

// Counts those who arrive until all have; then it is the next generation's.
struct Barrier {
  unsigned expected = 0;
  unsigned arrived = 0;
  unsigned generation = 0;
  Site site = {};  // of those who have arrived
};

// A context starts a fiber on its own stack; from then on it jumps, which unlike swapcontext asks the system for
// nothing. Fibers live on from block to block.
struct Fiber {
  std::unique_ptr<char[]> stack;
  ucontext_t start;
  bool started = false;
  jmp_buf place;  // where it goes on
  bool done = false;
  const Barrier* awaited = nullptr;
  unsigned generation = 0;  // of the barrier, when the fiber began to wait
  unsigned exchanges = 0;

  bool ready() const { return !done && (awaited == nullptr || awaited->generation != generation); }
};

// A lane can be one exchange ahead of another that has not read yet, and no more.
struct Warp {
  Barrier barrier;
  float exchanged[2][kWarp];
};

struct Block {
  std::vector<Fiber> fibers = std::vector<Fiber>(kMostThreads);
  unsigned threads = 0;
  std::vector<Warp> warps;
  Barrier barrier;
  jmp_buf scheduler;
  const std::function<void()>* body = nullptr;
  std::mt19937* random = nullptr;
};

// The block that runs; one at a time.
Block running;
std::string running_case;

Fiber& this_fiber() { return running.fibers[threadIdx.x]; }
Warp& this_warp() { return running.warps[threadIdx.x / kWarp]; }

bool same(Site a, Site b) { return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0); }

void return_to_scheduler() {
  if (_setjmp(this_fiber().place) == 0) _longjmp(running.scheduler, 1);
}

void run_fiber() {
  for (;;) {
    (*running.body)();
    this_fiber().done = true;
    return_to_scheduler();
  }
}

// Comes back when the thread waits or is done.
void resume(unsigned thread) {
  threadIdx.x = thread;
  if (_setjmp(running.scheduler) != 0) return;
  if (this_fiber().started) _longjmp(this_fiber().place, 1);
  this_fiber().started = true;
  setcontext(&this_fiber().start);
}

void meet(Barrier& barrier, Site site) {
  if (barrier.arrived > 0 && !same(barrier.site, site)) {
    fail("threads wait for each other at " + std::string(site.file) + ":" + std::to_string(site.line) + " and " +
         barrier.site.file + ":" + std::to_string(barrier.site.line));
  }
  barrier.site = site;
  Fiber& fiber = this_fiber();
  fiber.awaited = &barrier;
  fiber.generation = barrier.generation;
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    ++barrier.generation;
    return;
  }
  return_to_scheduler();
}

void create(Fiber& fiber) {
  fiber.stack.reset(new char[kStackBytes]);
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = fiber.stack.get();
  fiber.start.uc_stack.ss_size = kStackBytes;
  makecontext(&fiber.start, run_fiber, 0);
}

void prepare_threads(unsigned threads) {
  running.threads = threads;
  for (unsigned thread = 0; thread < threads; ++thread) {
    Fiber& fiber = running.fibers[thread];
    if (!fiber.stack) create(fiber);
    fiber.done = false;
    fiber.awaited = nullptr;
    fiber.exchanges = 0;
  }
  running.barrier = Barrier{threads};
  running.warps.assign(threads / kWarp, Warp{});
  for (Warp& warp : running.warps) warp.barrier.expected = kWarp;
}

bool warp_is_ready(unsigned warp) {
  const auto first = running.fibers.begin() + warp * kWarp;
  return std::any_of(first, first + kWarp, [](const Fiber& fiber) { return fiber.ready(); });
}

bool all_done() {
  const auto first = running.fibers.begin();
  return std::all_of(first, first + running.threads, [](const Fiber& fiber) { return fiber.done; });
}

// Takes the warp to one of its next waits, at random how far.
void run_warp(unsigned warp) {
  for (unsigned turns = 1 + random_number() % 40; turns > 0 && warp_is_ready(warp); --turns) {
    const bool backwards = random_number() % 2 == 0;
    for (unsigned i = 0; i < kWarp; ++i) {
      const unsigned thread = warp * kWarp + (backwards ? kWarp - 1 - i : i);
      if (running.fibers[thread].ready()) resume(thread);
    }
  }
}

}  // namespace

void fail(const std::string& what) {
  std::printf("FAIL: %s\n  thread %u of block %u\n  %s\n", what.c_str(), threadIdx.x, blockIdx.x, running_case.c_str());
  std::fflush(stdout);
  std::_Exit(1);
}

void describe_case(const std::string& description) { running_case = description; }

void run_block(unsigned block, unsigned threads, std::mt19937& random, const std::function<void()>& body) {
  blockIdx.x = block;
  blockDim.x = threads;
  running.body = &body;
  running.random = &random;
  prepare_threads(threads);
  while (!all_done()) {
    std::vector<unsigned> ready;
    for (unsigned warp = 0; warp < threads / kWarp; ++warp) {
      if (warp_is_ready(warp)) ready.push_back(warp);
    }
    if (ready.empty()) fail("deadlock: every thread that is left waits for others");
    run_warp(ready[random_number() % ready.size()]);
  }
}

unsigned random_number() { return static_cast<unsigned>((*running.random)()); }

void meet_block(Site site) { meet(running.barrier, site); }

void meet_warp(Site site) { meet(this_warp().barrier, site); }

float value_of_lane(float value, unsigned lane, Site site) {
  float (&exchanged)[kWarp] = this_warp().exchanged[this_fiber().exchanges++ % 2];
  exchanged[threadIdx.x % kWarp] = value;
  meet_warp(site);
  return exchanged[lane];
}

}  // namespace emulator
