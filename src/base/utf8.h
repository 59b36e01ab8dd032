// Texts from outside, made fit for whoever takes UTF-8 only.
#pragma once

#include <string>
#include <string_view>

namespace leman {

/// `text` with each byte that is no part of valid UTF-8 (RFC 3629: no surrogates, no overlong forms) written as "\xff".
std::string ValidUtf8(std::string_view text);

}  // namespace leman
