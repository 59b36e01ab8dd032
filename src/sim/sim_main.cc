// leman_sim: the real job under simulated time, faults and other writers, one world a seed.
//
//   leman_sim --seeds A..B             worlds A to B - 1
//   leman_sim --seed N [--trace]       one world, with all that happens in it
//   leman_sim --from TEXT --limit-s S  new worlds of a start drawn from TEXT (a date, a commit), for S seconds
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sim/sim_scenario.h"

namespace {

using leman::sim::RunSeed;
using leman::sim::SimReport;
using leman::sim::SimTally;
using leman::sim::StackPool;

struct Request {
  uint64_t first = 0;
  uint64_t end = 1000;
  bool trace = false;
  bool valid = true;
  double limit_s = 0;
};

uint64_t SeedOf(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash % 1'000'000'000'000ULL;
}

Request ParseArguments(int argc, char** argv) {
  Request request;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--trace") {
      request.trace = true;
      continue;
    }
    if (i + 1 == argc) return {.valid = false};
    const std::string value = argv[++i];
    if (name == "--seeds" && value.find("..") != std::string::npos) {
      request.first = std::strtoull(value.c_str(), nullptr, 10);
      request.end = std::strtoull(value.c_str() + value.find("..") + 2, nullptr, 10);
    } else if (name == "--seed") {
      request.first = std::strtoull(value.c_str(), nullptr, 10);
      request.end = request.first + 1;
    } else if (name == "--from") {
      request.first = SeedOf(value);
      request.end = request.first + 1'000'000'000ULL;
    } else if (name == "--limit-s") {
      request.limit_s = std::strtod(value.c_str(), nullptr);
    } else {
      return {.valid = false};
    }
  }
  return request;
}

void PrintTally(const SimTally& t, uint64_t first, uint64_t end, double elapsed_s) {
  std::printf(
      "seeds %llu..%llu: %llu worlds in %.1f s; %lld jobs, %lld driver deaths, %lld workers, %lld worker deaths, %lld "
      "rows in %lld calls, %lld checkpoints, %lld commits, %lld changes by others, %lld cleanups\n",
      static_cast<unsigned long long>(first), static_cast<unsigned long long>(end),
      static_cast<unsigned long long>(end - first), elapsed_s, static_cast<long long>(t.drivers),
      static_cast<long long>(t.driver_deaths), static_cast<long long>(t.workers),
      static_cast<long long>(t.worker_deaths), static_cast<long long>(t.rows_computed), static_cast<long long>(t.calls),
      static_cast<long long>(t.checkpoints), static_cast<long long>(t.commits), static_cast<long long>(t.changes),
      static_cast<long long>(t.cleanups));
}

}  // namespace

int main(int argc, char** argv) {
  const Request request = ParseArguments(argc, argv);
  if (!request.valid) {
    std::fprintf(stderr, "usage: leman_sim --seeds A..B | --seed N [--trace] | --from TEXT --limit-s S\n");
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto elapsed_s = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  StackPool stacks;
  SimTally tally;
  int failed = 0;
  uint64_t seed = request.first;
  for (; seed < request.end && failed < 20 && (request.limit_s <= 0 || elapsed_s() < request.limit_s); ++seed) {
    const SimReport report = RunSeed({.seed = seed, .trace = request.trace}, stacks);
    tally.Add(report.tally);
    if (report.violations.empty()) continue;
    ++failed;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), report.violations.front().c_str());
    std::fflush(stdout);
  }
  PrintTally(tally, request.first, seed, elapsed_s());
  if (failed > 0) std::printf("%d world(s) broke a promise; to see one: leman_sim --seed N --trace\n", failed);
  return failed > 0 ? 1 : 0;
}
