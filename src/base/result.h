// Result<T>: a value or an Error. No exception crosses a room; every fallible function returns one.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace leman {

/// What the caller can do next. Kinds name the caller's move, not where the error arose.
enum class ErrorKind {
  kInvalidArgument,    ///< The request is wrong: change it.
  kNotFound,           ///< The thing is not there: create it or give another name.
  kAlreadyExists,      ///< Somebody was first: use theirs.
  kConflict,           ///< The table changed meanwhile: read it again and re-plan.
  kRetryable,          ///< A passing fault: try again after a pause.
  kUnknownOutcome,     ///< It may or may not have happened: ask before deciding; delete nothing.
  kCorrupt,            ///< Stored bytes are not what was written: discard them and compute again.
  kResourceExhausted,  ///< Disk, memory or quota is used up: free some, then run again.
  kCancelled,          ///< Somebody asked to stop: stop, keep what is done.
  kUserFunction,       ///< The user's function failed: the row-failure policy decides.
  kUnsupported,        ///< Valid, but not something this build can do: take another path.
  kInternal,           ///< A defect of Leman: report it.
};

/// The kind's name as it appears in messages and records, e.g. "invalid argument".
std::string_view ErrorKindName(ErrorKind kind);

/// An error: its kind and a message that names the thing, its value and what was expected.
struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
  std::string name;  ///< A more special name than the kind's, of a class of python/leman/errors.py; mostly empty.

  /// The same error with `context` and ": " put before its message.
  [[nodiscard]] Error WithContext(std::string_view context) const {
    return Error{kind, std::string(context) + ": " + message, name};
  }
};

/// The value type of operations that only succeed or fail.
struct Unit {};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] const T& value() const& { return std::get<0>(state_); }
  [[nodiscard]] T& value() & { return std::get<0>(state_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(state_)); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<Unit>;

inline Status Ok() { return Unit{}; }

template <typename... Parts>
Error MakeError(ErrorKind kind, const Parts&... parts) {
  std::string message;
  const auto append = [&message](const auto& part) {
    using Part = std::decay_t<decltype(part)>;
    if constexpr (std::is_arithmetic_v<Part> && !std::is_same_v<Part, char>) {
      message += std::to_string(part);
    } else {
      message += part;
    }
  };
  (append(parts), ...);
  return Error{kind, std::move(message), {}};
}

}  // namespace leman

#define LEMAN_CONCAT_INNER(a, b) a##b
#define LEMAN_CONCAT(a, b) LEMAN_CONCAT_INNER(a, b)

/// Returns the error of `expr` (a Result of any type) from the enclosing function, if it has one.
#define LEMAN_RETURN_IF_ERROR(expr)                                                    \
  do {                                                                                 \
    if (auto&& leman_status = (expr); !leman_status.ok()) return leman_status.error(); \
  } while (false)

#define LEMAN_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.error();                \
  lhs = std::move(tmp).value()

/// Declares or assigns `lhs` from the value of `expr`, or returns its error.
#define LEMAN_ASSIGN_OR_RETURN(lhs, expr) LEMAN_ASSIGN_OR_RETURN_IMPL(LEMAN_CONCAT(leman_result_, __LINE__), lhs, expr)
