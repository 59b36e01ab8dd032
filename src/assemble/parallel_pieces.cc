#include "assemble/parallel_pieces.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace leman {

Status ForEachPiece(size_t pieces, int threads, const std::function<PieceWorker()>& make_worker) {
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::optional<Error> first_error;
  const auto run = [&] {
    const PieceWorker work = make_worker();
    for (size_t piece = next++; piece < pieces && !stop; piece = next++) {
      Status done = work(piece);
      if (done.ok()) continue;
      stop = true;
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = done.error();
    }
  };
  {
    std::vector<std::jthread> others;
    const size_t wanted = std::min(pieces, static_cast<size_t>(std::max(1, threads)));
    try {
      while (others.size() + 1 < wanted) others.emplace_back(run);
    } catch (const std::system_error&) {
      // No more threads to be had: those that there are do the work.
    }
    run();
  }
  if (first_error) return *std::move(first_error);
  return Ok();
}

}  // namespace leman
