// Parameters of the built-in functions: a JSON object, read with messages that say what was expected.
#pragma once

#include <leman/udf.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace leman::builtin {

class Parameters {
 public:
  /// Refuses a name that is not among `known`.
  Parameters(std::string_view text, std::initializer_list<std::string_view> known)
      : values_(nlohmann::json::parse(text, nullptr, false)) {
    if (!values_.is_object()) throw udf::InvalidArgument("expected parameters by name");
    for (const auto& [name, value] : values_.items()) {
      bool found = false;
      std::string names;
      for (const std::string_view one : known) {
        found = found || one == name;
        names += (names.empty() ? "" : ", ") + std::string(one);
      }
      if (!found) {
        throw udf::InvalidArgument("has no parameter " + name + "; " +
                                   (names.empty() ? "it takes none" : "it takes " + names));
      }
    }
  }

  int64_t Integer(const char* name, int64_t otherwise, int64_t least, int64_t most) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return otherwise;
    if (!found->is_number_integer() || found->get<int64_t>() < least || found->get<int64_t>() > most) {
      throw udf::InvalidArgument(std::string(name) + "=" + found->dump() + ": expected an integer from " +
                                 std::to_string(least) + " to " + std::to_string(most));
    }
    return found->get<int64_t>();
  }

  bool IsText(const char* name) const { return values_.contains(name) && values_[name].is_string(); }

  std::string Text(const char* name) const {
    if (!values_.contains(name)) throw udf::InvalidArgument("the parameter " + std::string(name) + " is missing");
    if (!IsText(name)) {
      throw udf::InvalidArgument(std::string(name) + "=" + values_[name].dump() + ": expected a text");
    }
    return values_[name].get<std::string>();
  }

  /// One of `choices`; the first where the parameter is missing.
  std::string Choice(const char* name, std::initializer_list<std::string_view> choices) const {
    if (!values_.contains(name)) return std::string(*choices.begin());
    std::string names;
    for (const std::string_view one : choices) {
      if (IsText(name) && values_[name].get<std::string>() == one) return std::string(one);
      names += (names.empty() ? "" : ", ") + std::string(one);
    }
    throw udf::InvalidArgument(std::string(name) + "=" + values_[name].dump() + ": expected one of " + names);
  }

  std::vector<float> Floats(const char* name) const {
    const auto found = values_.find(name);
    const auto wrong = [&] { return udf::InvalidArgument(std::string(name) + ": expected a list of numbers"); };
    if (found == values_.end() || !found->is_array() || found->empty()) throw wrong();
    std::vector<float> numbers;
    for (const auto& value : *found) {
      if (!value.is_number()) throw wrong();
      numbers.push_back(value.get<float>());
    }
    return numbers;
  }

 private:
  nlohmann::json values_;
};

}  // namespace leman::builtin
