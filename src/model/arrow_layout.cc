#include "model/arrow_layout.h"

#include <cstdlib>
#include <string>

namespace leman {

int64_t FixedBits(std::string_view format) {
  if (format.empty()) return 0;
  switch (format[0]) {
    case 'b':
      return 1;
    case 'c':
    case 'C':
      return 8;
    case 's':
    case 'S':
    case 'e':
      return 16;
    case 'i':
    case 'I':
    case 'f':
      return 32;
    case 'l':
    case 'L':
    case 'g':
      return 64;
    case 'd':
      return format.ends_with(",256") ? 256 : 128;
    case 't':
      return format.starts_with("tdD") || format.starts_with("tts") || format.starts_with("ttm") ||
                     format.starts_with("tiM")
                 ? 32
             : format.starts_with("tin") ? 128
                                         : 64;
    case 'w':
      return std::atoll(std::string(format.substr(2)).c_str()) * 8;
    default:
      return 0;
  }
}

}  // namespace leman
