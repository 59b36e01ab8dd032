/// @file
/// Result<T> and Error of Leman's C++ API. Nothing but the standard library is needed.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#define LEMAN_API __attribute__((visibility("default")))

namespace leman {
// The name of the binary interface: a program that was compiled against another one does not link, instead of
// misreading.
inline namespace v1 {

/// What the caller can do next.
enum class ErrorKind {
  kInvalidArgument,  ///< The call is wrong: change it.
  kNotFound,         ///< The table, column, job or file is not there.
  kBusy,             ///< Another job fills the column: wait for it, or cancel it.
  kConflict,         ///< The table changed in a way that the job cannot follow: run it again.
  kCancelled,        ///< Cancelled, or out of time: what was computed is kept, and the same call resumes.
  kFunctionFailed,   ///< The function failed on a row, or crashed workers: mend it, or say in on_error what to do.
  kJobFailed,        ///< The job failed for another reason: the message says which; the same call resumes.
  kCorrupt,          ///< Stored bytes are not what was written.
  kUntrusted,        ///< A stored function is not signed by a key that is trusted.
  kStorage,          ///< The file system or object store refused.
  kEnvironment,      ///< Leman's Python environment cannot be used: the message says what to install.
  kInternal,         ///< A defect: report it.
};

/// An error: what to do next, which it is, and the text, which is that of Leman's Python API.
struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string type;     ///< Name of the Python exception: "TableNotFoundError", "ValueError", …
  std::string message;  ///< Names the argument, its value, what was expected, and what to do.
  std::string job_id;   ///< Of the job that failed; empty where none did.
};

/// What Result::value() throws where there is none; what() is the error's message.
class LEMAN_API BadResult : public std::runtime_error {
 public:
  explicit BadResult(Error failed) : std::runtime_error(failed.message), error_(std::move(failed)) {}
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

/// The value of operations that only succeed or fail.
struct Unit {};

/// A value, or the Error that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}        // NOLINT(google-explicit-constructor)
  Result(Error failed) : state_(std::in_place_index<1>, std::move(failed)) {}  // NOLINT(google-explicit-constructor)
  /// From a Result whose value converts: a BackfillResult is a JobId, too.
  template <typename U, typename = std::enable_if_t<!std::is_same_v<T, U> && std::is_convertible_v<U, T>>>
  Result(Result<U> other)  // NOLINT(google-explicit-constructor)
      : state_(other.ok() ? State(std::in_place_index<0>, std::move(other).value())
                          : State(std::in_place_index<1>, other.error())) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// @throws BadResult where there is an error (without exceptions, the program ends with its message).
  const T& value() const& { return Check(), std::get<0>(state_); }
  T& value() & { return Check(), std::get<0>(state_); }
  T&& value() && { return Check(), std::get<0>(std::move(state_)); }
  /// Only where !ok().
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

 private:
  using State = std::variant<T, Error>;

  void Check() const {
    if (ok()) return;
#if defined(__cpp_exceptions)
    throw BadResult(error());
#else
    std::fprintf(stderr, "%s\n", error().message.c_str());
    std::abort();
#endif
  }

  State state_;
};

using Status = Result<Unit>;

}  // namespace v1
}  // namespace leman
