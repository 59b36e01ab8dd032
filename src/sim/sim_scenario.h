// One world from its seed to its end.
#pragma once

#include <string>
#include <vector>

#include "sim/sim_world.h"

namespace leman::sim {

struct SimReport {
  std::vector<std::string> violations;  ///< Promises that were broken; empty: none.
  SimTally tally;
};

/// Jobs on one table, run again until one is done, while faults happen and others write; then quiet runs until all is
/// done; then a cleanup. Checks on the way and at the end are those of docs/reliability.md. The same options give the
/// same report on every machine.
SimReport RunSeed(const SimOptions& options, StackPool& stacks);

}  // namespace leman::sim
