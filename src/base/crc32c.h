// CRC-32C (Castagnoli), with the processor's instruction where there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leman {

/// The checksum of `size` bytes; `crc` is that of what came before them.
uint32_t Crc32c(const void* data, size_t size, uint32_t crc = 0);

/// The same, by tables alone.
uint32_t Crc32cPortable(const void* data, size_t size, uint32_t crc = 0);

}  // namespace leman
