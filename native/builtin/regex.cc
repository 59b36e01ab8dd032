// Built-in functions on texts by regular expressions: RE2, whose time grows with the text's length only.
#include <leman/udf.h>
#include <re2/re2.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "parameters.h"

namespace leman::builtin {
namespace {

std::unique_ptr<const RE2> Compiled(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_unique<const RE2>(pattern, options);
  if (!regex->ok()) {
    throw udf::InvalidArgument("pattern='" + pattern + "': " + regex->error() +
                               "; expected a regular expression of RE2 (no look-around, no backreferences)");
  }
  return regex;
}

re2::StringPiece PieceOf(std::string_view text) { return {text.data(), text.size()}; }

// The first match, or a group of it.
class RegexExtract {
 public:
  static void CheckParameters(std::string_view json) { RegexExtract{json}; }
  explicit RegexExtract(std::string_view json) : RegexExtract(Parameters(json, {"pattern", "group"})) {}

  std::optional<std::string_view> operator()(std::string_view text) {
    const auto groups = static_cast<int>(found_.size());
    if (!regex_->Match(PieceOf(text), 0, text.size(), RE2::UNANCHORED, found_.data(), groups)) return std::nullopt;
    const re2::StringPiece& group = found_.back();
    if (group.data() == nullptr) return std::nullopt;
    return std::string_view(group.data(), group.size());
  }

 private:
  explicit RegexExtract(const Parameters& parameters)
      : regex_(Compiled(parameters.Text("pattern"))), found_(static_cast<size_t>(GroupOf(parameters) + 1)) {}

  [[nodiscard]] int64_t GroupOf(const Parameters& parameters) const {
    if (parameters.IsText("group")) {
      const std::string name = parameters.Text("group");
      const auto& names = regex_->NamedCapturingGroups();
      const auto found = names.find(name);
      if (found == names.end()) throw udf::InvalidArgument("group='" + name + "': the pattern has no such group");
      return found->second;
    }
    return parameters.Integer("group", regex_->NumberOfCapturingGroups() > 0 ? 1 : 0, 0,
                              regex_->NumberOfCapturingGroups());
  }

  std::unique_ptr<const RE2> regex_;
  std::vector<re2::StringPiece> found_;
};

// Whether matches begin with one of several characters. Where it is always the same one, RE2 jumps from one to the
// next.
bool BeginsWithClass(std::string_view pattern) {
  while (pattern.starts_with('(')) pattern.remove_prefix(pattern.starts_with("(?:") ? 3 : 1);
  if (pattern.starts_with('[') || pattern.starts_with('.')) return true;
  return pattern.size() >= 2 && pattern[0] == '\\' &&
         std::string_view("dDwWsSpP").find(pattern[1]) != std::string_view::npos;
}

// Matches `regex` from the end of the last match on, with what lies before it. RE2 learns the end of a match first, and
// goes over it once more for its beginning, which is known then. Null for a pattern for which that is no gain, or that
// may match nothing: what is found does not tell whether it did.
std::unique_ptr<const RE2> FromLastEnd(const RE2& regex) {
  const std::string& pattern = regex.pattern();
  for (const char* const special : {"^", "$", "\\b", "\\B", "\\A", "\\z", "\\Q"}) {
    if (pattern.find(special) != std::string::npos) return nullptr;
  }
  if (!BeginsWithClass(pattern) || RE2::FullMatch("", regex)) return nullptr;
  RE2::Options options;
  options.set_log_errors(false);
  auto wrapped = std::make_unique<const RE2>("\\C*?(?:" + pattern + ")", options);
  return wrapped->ok() ? std::move(wrapped) : nullptr;
}

// How many matches there are, without overlaps.
class RegexCount {
 public:
  static void CheckParameters(std::string_view json) { RegexCount{json}; }
  explicit RegexCount(std::string_view json)
      : regex_(Compiled(Parameters(json, {"pattern"}).Text("pattern"))), from_last_end_(FromLastEnd(*regex_)) {}

  int64_t operator()(std::string_view text) const {
    return from_last_end_ == nullptr ? CountFound(text) : CountEnds(text);
  }

 private:
  int64_t CountEnds(std::string_view text) const {
    int64_t count = 0;
    re2::StringPiece found;
    for (size_t at = 0; at < text.size(); ++count) {
      if (!from_last_end_->Match(PieceOf(text), at, text.size(), RE2::ANCHOR_START, &found, 1)) break;
      at += found.size();
    }
    return count;
  }
  [[nodiscard]] int64_t CountFound(std::string_view text) const {
    int64_t count = 0;
    re2::StringPiece found;
    for (size_t at = 0; at <= text.size();) {
      if (!regex_->Match(PieceOf(text), at, text.size(), RE2::UNANCHORED, &found, 1)) break;
      ++count;
      const size_t end = static_cast<size_t>(found.data() - text.data()) + found.size();
      at = found.empty() ? NextChar(text, end) : end;
    }
    return count;
  }
  static size_t NextChar(std::string_view text, size_t at) {
    do ++at;
    while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
    return at;
  }

  std::unique_ptr<const RE2> regex_;
  std::unique_ptr<const RE2> from_last_end_;
};

}  // namespace
}  // namespace leman::builtin

LEMAN_UDF_CLASS(regex_extract, leman::builtin::RegexExtract, text);
LEMAN_UDF_CLASS(regex_count, leman::builtin::RegexCount, text);
