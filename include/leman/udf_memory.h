// Memory for large buffers of results: what leman/udf.h and Leman's own builders take theirs from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// Asks the system for pages of 2 MiB: to be given 4 KiB pages one by one, at the first write to each, costs more than
/// writing results there. Where it has none, the memory is as good, but slower.
inline void AskForLargePages([[maybe_unused]] void* memory, [[maybe_unused]] size_t size) {
#if defined(__linux__)
  constexpr uintptr_t kInPage = 4095;
  const auto begin = reinterpret_cast<uintptr_t>(memory) & ~kInPage;
  const auto end = (reinterpret_cast<uintptr_t>(memory) + size + kInPage) & ~kInPage;
  // The pages at both ends may have other things on them, to which the advice does no harm.
  static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
#endif
}

/// Moves `used` bytes of `old`, malloc's memory or none, to memory of `*size` bytes or, where that fills a large page,
/// some more: `*size` says how many. nullptr, and `old` stays as it is, where there is none. std::free gives it back.
inline void* GrowMemory(void* old, size_t used, size_t* size) {
  constexpr size_t kPage = size_t{2} << 20;
  constexpr size_t kMostLeft = kPage / 4;           // of a page, in addition to what was asked for
  constexpr size_t kMostCopied = size_t{32} << 20;  // beyond, malloc moves pages, not bytes
  if (*size + kMostLeft < kPage) return std::realloc(old, *size);
  void* memory = nullptr;
  if (*size > kMostCopied) {
    memory = std::realloc(old, *size);
    if (memory != nullptr) AskForLargePages(memory, *size);
    return memory;
  }
  if (const size_t left = (kPage - *size % kPage) % kPage; left <= kMostLeft) *size += left;
  if (::posix_memalign(&memory, kPage, *size) != 0) return nullptr;
  AskForLargePages(memory, *size);
  if (used > 0) std::memcpy(memory, old, used);
  std::free(old);
  return memory;
}

}  // namespace leman::udf
#pragma GCC visibility pop
