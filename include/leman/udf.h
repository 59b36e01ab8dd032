// Native UDFs in C++: functions that fill columns, in a shared library that Leman's workers load.
//
//     #include <leman/udf.h>
//
//     LEMAN_UDF(word_count, [](std::string_view text) -> int32_t { ... });
//
// Arguments: bool, integers, float, double, std::string_view, leman::udf::Bytes, std::span<const T> for lists of
// numbers, and std::optional of these. A row in which an argument that is no std::optional is null is null, without a
// call. Results: bool, numbers, std::string, leman::udf::OwnedBytes, std::vector<T>, std::array<T, N> (a fixed-size
// list), std::tuple (a struct; leman::udf::Field names its members), std::optional of these, and leman::udf::Written, a
// text that is written where it stays.
//
// What a function throws fails the row, which meets the job's on_error. Nothing else is needed: link nothing, build
// with -std=c++20 -shared -fPIC. The ABI beneath is docs/formats/native_udf_abi.md.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "leman/udf_call.h"

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// The functions of this library.
struct Registry {
  std::vector<const LemanUdf*> udfs;
  LemanUdfLibrary library{LEMAN_UDF_ABI_VERSION, 0, nullptr};

  static Registry& Get() {
    static Registry registry;
    return registry;
  }
  bool Add(const LemanUdf* udf) {
    udfs.push_back(udf);
    library = {LEMAN_UDF_ABI_VERSION, static_cast<uint32_t>(udfs.size()), udfs.data()};
    return true;
  }
};

/// The names of a lambda's parameters, out of its source: the last identifier of each. Empty where there are none to
/// read.
inline std::vector<std::string> ParameterNames(std::string_view source) {
  const size_t capture_end = source.find(']');
  if (source.empty() || source.front() != '[' || capture_end == std::string_view::npos) return {};
  const size_t open = source.find('(', capture_end);
  if (open == std::string_view::npos) return {};
  std::vector<std::string> names;
  std::string current;
  int depth = 0;
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  const auto take = [&] {
    size_t end = current.size();
    while (end > 0 && !is_word(current[end - 1])) --end;
    size_t begin = end;
    while (begin > 0 && is_word(current[begin - 1])) --begin;
    names.push_back(current.substr(begin, end - begin));
    current.clear();
  };
  for (size_t i = open + 1; i < source.size(); ++i) {
    const char c = source[i];
    if (depth == 0 && (c == ',' || c == ')')) {
      take();
      if (c == ')') return names;
      continue;
    }
    if (c == '<' || c == '(') ++depth;
    if (c == '>' || c == ')') --depth;
    current += c;
  }
  return {};
}

// ---- Functions as a LemanUdf -------------------------------------------------------------------------------------

/// The state of a worker: the function object, and the schema of its batches.
template <typename F>
struct State {
  F function;
  ArrowSchema schema{};

  /// `make` may return what cannot be moved.
  State(F (*make)(std::string_view), const char* parameters, SchemaNode inputs) : function(make(parameters)) {
    Export(std::move(inputs), &schema);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (schema.release != nullptr) schema.release(&schema);
  }
};

/// A copy of a schema, with what this header looks at.
inline SchemaNode CopyOf(const ArrowSchema& schema) {
  SchemaNode node{
      schema.format, schema.name == nullptr ? "" : schema.name, (schema.flags & ARROW_FLAG_NULLABLE) != 0, {}};
  for (int64_t i = 0; i < schema.n_children; ++i) node.children.push_back(CopyOf(*schema.children[i]));
  return node;
}

inline void TakesNoParameters(std::string_view parameters) {
  if (parameters != "{}") throw InvalidArgument("takes no parameters, got " + std::string(parameters));
}

/// Asks a class that has `static void CheckParameters(std::string_view)` about parameters before any work.
template <typename Class>
void CheckParametersOf(std::string_view parameters) {
  if constexpr (requires { Class::CheckParameters(parameters); }) Class::CheckParameters(parameters);
}

/// Makes the LemanUdf of a function object type F; `Make` builds one from the parameters, `Source` names its
/// arguments, `CallerOf` says how it is called.
template <typename F, F (*Make)(std::string_view parameters), void (*Check)(std::string_view parameters),
          const char* (*Source)(), template <typename, typename> typename CallerOf>
struct Adapter {
  using Signature = typename CallOf<F>::Signature;
  using Caller = typename CallerOf<typename Signature::Result, typename Signature::Arguments>::Type;

  static int Describe(const char* parameters, ArrowSchema* inputs, ArrowSchema* output, LemanUdfError* error) {
    return Guarded(error, [&] {
      Check(parameters);
      Export(Caller::Inputs(ParameterNames(Source())), inputs);
      Export(Caller::Output(), output);
      return LEMAN_UDF_OK;
    });
  }
  static int Init(const char* parameters, const ArrowSchema* inputs, void** state, LemanUdfError* error) {
    return Guarded(error, [&] {
      Caller::Check(*inputs);
      *state = new State<F>(Make, parameters, CopyOf(*inputs));
      return LEMAN_UDF_OK;
    });
  }
  static int Apply(void* state, LemanUdfBatch* batch, LemanUdfError* error) {
    return ApplyWatched(state, batch, nullptr, error);
  }
  static int ApplyWatched(void* state, LemanUdfBatch* batch, LemanUdfPosition* position, LemanUdfError* error) {
    return Guarded(error, [&] {
      auto& own = *static_cast<State<F>*>(state);
      return Caller::Apply(own.function, own.schema, batch, Position(position), error);
    });
  }
  static void Free(void* state) { delete static_cast<State<F>*>(state); }

  static constexpr LemanUdf Udf(const char* name, const char* version, const char* summary, uint32_t flags) {
    return {sizeof(LemanUdf), name, version, summary, flags, &Describe, &Init, &Apply, &Free, &ApplyWatched};
  }
};

}  // namespace leman::udf
#pragma GCC visibility pop

/// The entry point; every file that includes this header offers the same one.
extern "C" __attribute__((visibility("default"), used)) inline const LemanUdfLibrary* leman_udf_library() {
  return &leman::udf::Registry::Get().library;
}

#define LEMAN_UDF_REGISTER_(name, caller, flags)                                                                     \
  static const LemanUdf leman_udf_##name =                                                                           \
      ::leman::udf::Adapter<leman_udf_of_##name::Function, leman_udf_of_##name::Make, leman_udf_of_##name::Check,    \
                            leman_udf_of_##name::Source, ::leman::udf::caller>::Udf(#name, nullptr, nullptr, flags); \
  [[maybe_unused]] static const bool leman_udf_##name##_added = ::leman::udf::Registry::Get().Add(&leman_udf_##name)

#define LEMAN_UDF_LAMBDA_(name, ...)                                                                \
  namespace leman_udf_of_##name {                                                                   \
    static const auto function = __VA_ARGS__;                                                       \
    using Function = std::remove_const_t<decltype(function)>;                                       \
    static Function Make(std::string_view) { return function; }                                     \
    static void Check(std::string_view parameters) { ::leman::udf::TakesNoParameters(parameters); } \
    static const char* Source() { return #__VA_ARGS__; }                                            \
  }

/// A scalar function: a lambda without captures. Its parameters' names are the columns that it reads by default.
#define LEMAN_UDF(name, ...)           \
  LEMAN_UDF_LAMBDA_(name, __VA_ARGS__) \
  LEMAN_UDF_REGISTER_(name, RowCallerOf, LEMAN_UDF_SHARED_STATE)

/// A function of whole columns: a lambda of leman::udf::Column<T>s that returns a std::vector with one value a row. It
/// sees the rows that are to be computed, and no others. It is called with fewer, down to one, where it throws and the
/// job has an on_error.
#define LEMAN_UDF_BATCH(name, ...)     \
  LEMAN_UDF_LAMBDA_(name, __VA_ARGS__) \
  LEMAN_UDF_REGISTER_(name, BatchCallerOf, LEMAN_UDF_SHARED_STATE)

/// A class, made for each worker thread by `Class(std::string_view parameters)`, the parameters as JSON text, and
/// called for each row. The names of its arguments follow: `LEMAN_UDF_CLASS(embed, Embed, text)`. Where it has a
/// `static void CheckParameters(std::string_view)`, that refuses wrong ones (InvalidArgument) before any work. Where it
/// has `bool All(const leman::udf::Column<T>&..., leman::udf::Results<R>&)`, that sets the results of a whole batch in
/// which no argument is null and no row left out. Where it returns false, or throws, having set none, rows are called.
#define LEMAN_UDF_CLASS(name, Class, ...)                                                                  \
  namespace leman_udf_of_##name {                                                                          \
    using Function = Class;                                                                                \
    static Function Make(std::string_view parameters) { return Class(parameters); }                        \
    static void Check(std::string_view parameters) { ::leman::udf::CheckParametersOf<Class>(parameters); } \
    static const char* Source() { return "[](" #__VA_ARGS__ ")"; }                                         \
  }                                                                                                        \
  LEMAN_UDF_REGISTER_(name, RowCallerOf, 0)
