// How the bytes of data files came to their place.
#pragma once

#include <cstdint>

namespace leman {

/// Of the data files made, in bytes. Only `copied` and `reencoded` were written to storage a second time.
struct AssemblyBytes {
  int64_t placed = 0;     ///< Written once by a worker, where they stay.
  int64_t linked = 0;     ///< A whole checkpoint under a further name.
  int64_t reflinked = 0;  ///< Blocks that the file system shares with the checkpoints.
  int64_t copied = 0;     ///< Pages copied as they are, and what was written around them.
  int64_t reencoded = 0;  ///< Decoded and encoded again.
  int64_t streamed = 0;   ///< Of `copied`, what an object store did not copy itself: it went through the driver.

  void Add(const AssemblyBytes& other) {
    placed += other.placed;
    linked += other.linked;
    reflinked += other.reflinked;
    copied += other.copied;
    reencoded += other.reencoded;
    streamed += other.streamed;
  }
  /// What assembly itself wrote.
  [[nodiscard]] int64_t written() const { return copied + reencoded; }
  friend bool operator==(const AssemblyBytes&, const AssemblyBytes&) = default;
};

}  // namespace leman
