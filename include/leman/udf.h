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

#include <concepts>
#include <cstdio>
#include <exception>
#include <new>
#include <type_traits>

#include "leman/udf_schema.h"

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// Thrown by a constructor or a check for parameters or columns that the function does not take.
class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

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

inline void SetError(LemanUdfError* error, int64_t row, const char* message) {
  error->row = row;
  std::snprintf(error->message, sizeof error->message, "%s", message);
}

/// Runs `body`, which returns a code; what it throws becomes a code and `*error`.
template <typename Body>
int Guarded(LemanUdfError* error, Body&& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    SetError(error, -1, "out of memory");
    return LEMAN_UDF_NO_MEMORY;
  } catch (const InvalidArgument& invalid) {
    SetError(error, -1, invalid.what());
    return LEMAN_UDF_INVALID;
  } catch (const std::exception& failed) {
    SetError(error, -1, failed.what());
    return LEMAN_UDF_ROW_FAILED;
  } catch (...) {
    SetError(error, -1, "an exception that is no std::exception");
    return LEMAN_UDF_ROW_FAILED;
  }
}

/// What the exception in flight says.
inline std::string InFlight() {
  try {
    throw;
  } catch (const std::exception& failed) {
    return failed.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

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

// ---- Calling -----------------------------------------------------------------------------------------------------

template <typename Signature>
struct SignatureOf;
template <typename R, typename... A>
struct SignatureOf<R (*)(A...)> {
  using Result = std::remove_cvref_t<R>;
  using Arguments = std::tuple<std::remove_cvref_t<A>...>;
};
template <typename R, typename... A>
struct SignatureOf<R (*)(A...) noexcept> : SignatureOf<R (*)(A...)> {};
template <typename C, typename R, typename... A>
struct SignatureOf<R (C::*)(A...) const> : SignatureOf<R (*)(A...)> {};
template <typename C, typename R, typename... A>
struct SignatureOf<R (C::*)(A...)> : SignatureOf<R (*)(A...)> {};
template <typename C, typename R, typename... A>
struct SignatureOf<R (C::*)(A...) const noexcept> : SignatureOf<R (*)(A...)> {};
template <typename C, typename R, typename... A>
struct SignatureOf<R (C::*)(A...) noexcept> : SignatureOf<R (*)(A...)> {};

template <typename F>
struct CallOf {
  using Signature = SignatureOf<decltype(&F::operator())>;
};
template <typename R, typename... A>
struct CallOf<R (*)(A...)> {
  using Signature = SignatureOf<R (*)(A...)>;
};

/// Whether rows may be written without a look at each: all selected, no argument null.
template <typename Columns>
bool AllRowsAreCalled(const LemanUdfBatch& batch, const Columns& columns) {
  return batch.selected == nullptr &&
         std::apply([](const auto&... column) { return (!column.may_have_nulls() && ...); }, columns);
}

/// Whether a function object has a member that takes all rows at once.
template <typename F, typename R, typename... A>
concept TakesAll = requires(F& function, const Column<A>&... columns, Results<R>& results) {
  { function.All(columns..., results) } -> std::same_as<bool>;
};

/// Calls a scalar function on each row.
template <typename R, typename... A>
class RowCaller {
 public:
  using Columns = std::tuple<Column<A>...>;

  static SchemaNode Inputs(const std::vector<std::string>& names) {
    SchemaNode node{"+s", "", false, {}};
    size_t at = 0;
    const auto next = [&] {
      const size_t index = at++;
      return index < names.size() && !names[index].empty() ? names[index] : "arg" + std::to_string(index);
    };
    (node.children.push_back(InputType<A>(next())), ...);
    return node;
  }
  static SchemaNode Output() { return OutputType<R>::Make("value"); }

  static void Check(const ArrowSchema& inputs) {
    if (inputs.n_children != static_cast<int64_t>(sizeof...(A))) {
      throw InvalidArgument("takes " + std::to_string(sizeof...(A)) + " columns, got " +
                            std::to_string(inputs.n_children));
    }
    int64_t at = 0;
    (CheckOne<A>(*inputs.children[at++]), ...);
  }

  template <typename F>
  static int Apply(F& function, const ArrowSchema& schema, LemanUdfBatch* batch, LemanUdfError* error) {
    const ArrowArray& inputs = *batch->inputs;
    Columns columns = Open(schema, inputs, std::index_sequence_for<A...>{});
    Results<R> results(inputs.length);
    int64_t row = 0;
    const bool all = AllRowsAreCalled(*batch, columns);
    while (row < inputs.length) {
      try {
        if (all) {
          CallAll(function, columns, results, inputs.length, row);
        } else {
          CallSome(function, columns, results, *batch, inputs.length, row);
        }
      } catch (const std::bad_alloc&) {
        throw;
      } catch (...) {
        const std::string message = InFlight();
        const int action =
            batch->on_row_error == nullptr ? LEMAN_ROW_FAIL : batch->on_row_error(batch->context, row, message.c_str());
        if (action == LEMAN_ROW_RETRY) continue;
        if (action != LEMAN_ROW_NULL) {
          SetError(error, row, message.c_str());
          return LEMAN_UDF_ROW_FAILED;
        }
        results.SetNull(row++);
      }
    }
    results.Finish(inputs.length, batch->output);
    return LEMAN_UDF_OK;
  }

  template <size_t... I>
  static Columns Open(const ArrowSchema& schema, const ArrowArray& inputs, std::index_sequence<I...>) {
    return Columns{Column<A>(*inputs.children[I], *schema.children[I], inputs.offset, inputs.length)...};
  }

 private:
  template <typename One>
  static void CheckOne(const ArrowSchema& column) {
    if (Reads<One>(column)) return;
    throw InvalidArgument(std::string("argument '") + (column.name == nullptr ? "" : column.name) +
                          "' cannot be read from a column of Arrow format '" + column.format + "'; it takes '" +
                          InputType<One>("").format + "'");
  }

  // `row` is where the loop is, also when the function throws.
  template <typename F>
  static void CallAll(F& function, const Columns& columns, Results<R>& results, int64_t rows, int64_t& row) {
    if constexpr (TakesAll<F, R, A...>) {
      const auto all = [&](const auto&... column) { return function.All(column..., results); };
      if (row == 0 && rows > 0 && std::apply(all, columns)) {
        row = rows;
        return;
      }
    }
    if constexpr (Number<R> && !std::is_same_v<R, bool> && (Number<A> && ...)) {
      R* const out = results.data();
      int64_t at = row;
      const auto call = [&](const Column<A>&... column) {
        if constexpr (noexcept(function(column[0]...))) {
          for (; at < rows; ++at) out[at] = function(column[at]...);
        } else {
          for (; at < rows; row = ++at) out[at] = function(column[at]...);
        }
      };
      std::apply(call, columns);
      row = rows;
    } else {
      for (; row < rows; ++row) {
        results.Set(row, std::apply([&](const auto&... column) { return function(column[row]...); }, columns));
      }
    }
  }

  template <typename F>
  static void CallSome(F& function, const Columns& columns, Results<R>& results, LemanUdfBatch& batch, int64_t rows,
                       int64_t& row) {
    for (; row < rows; ++row) {
      if (batch.selected != nullptr && batch.selected[row] == 0) {
        results.SetNull(row);
      } else if (IsShort(columns, row, std::index_sequence_for<A...>{})) {
        ++batch.null_inputs;
        results.SetNull(row);
      } else {
        results.Set(row, std::apply([&](const auto&... column) { return function(column[row]...); }, columns));
      }
    }
  }

  // Whether an argument that takes no null is null.
  template <size_t... I>
  static bool IsShort(const Columns& columns, int64_t row, std::index_sequence<I...>) {
    return ((!OptionalOf<A>::value && std::get<I>(columns).is_null(row)) || ...);
  }
};

template <typename R, typename Arguments>
struct RowCallerOf;
template <typename R, typename... A>
struct RowCallerOf<R, std::tuple<A...>> {
  using Type = RowCaller<R, A...>;
};

/// Calls a function of whole columns, which returns one value a row.
///
/// Where it throws and the job has an on_error, the batch is halved down to the row that is to blame; without one, the
/// batch has failed.
template <typename R, typename... A>
class BatchCaller {
 public:
  static SchemaNode Inputs(const std::vector<std::string>& names) { return RowCaller<R, A...>::Inputs(names); }
  static SchemaNode Output() { return OutputType<R>::Make("value"); }
  static void Check(const ArrowSchema& inputs) { RowCaller<R, A...>::Check(inputs); }

  template <typename F>
  static int Apply(F& function, const ArrowSchema& schema, LemanUdfBatch* batch, LemanUdfError* error) {
    const int64_t rows = batch->inputs->length;
    Call<F> call{function, schema, *batch, error, Results<R>(rows)};
    const int code = call.Rows(0, rows);
    if (code == LEMAN_UDF_OK) call.results.Finish(rows, batch->output);
    return code;
  }

 private:
  template <typename F>
  struct Call {
    F& function;
    const ArrowSchema& schema;
    const LemanUdfBatch& batch;
    LemanUdfError* error;
    Results<R> results;

    // The results of `count` rows from `first` on, in row order.
    int Rows(int64_t first, int64_t count) {
      if (!AnySelected(first, count)) {
        for (int64_t row = first; row < first + count; ++row) results.SetNull(row);
        return LEMAN_UDF_OK;
      }
      while (true) {
        std::vector<R> values;
        std::string message;
        bool failed = false;
        try {
          values = Values(first, count, std::index_sequence_for<A...>{});
        } catch (const std::bad_alloc&) {
          throw;
        } catch (...) {
          failed = true;
          message = InFlight();
        }
        if (!failed) return Write(values, first, count);
        const bool asks = batch.on_row_error != nullptr;
        if (asks && count > 1) {
          const int code = Rows(first, count / 2);
          return code == LEMAN_UDF_OK ? Rows(first + count / 2, count - count / 2) : code;
        }
        const int action = asks ? batch.on_row_error(batch.context, first, message.c_str()) : LEMAN_ROW_FAIL;
        if (action == LEMAN_ROW_RETRY) continue;
        if (action == LEMAN_ROW_NULL) {
          results.SetNull(first);
          return LEMAN_UDF_OK;
        }
        SetError(error, count == 1 ? first : -1, message.c_str());
        return LEMAN_UDF_ROW_FAILED;
      }
    }

   private:
    template <size_t... I>
    std::vector<R> Values(int64_t first, int64_t count, std::index_sequence<I...>) {
      const ArrowArray& inputs = *batch.inputs;
      return function(Column<A>(*inputs.children[I], *schema.children[I], inputs.offset + first, count)...);
    }
    [[nodiscard]] bool IsSelected(int64_t row) const { return batch.selected == nullptr || batch.selected[row] != 0; }
    [[nodiscard]] bool AnySelected(int64_t first, int64_t count) const {
      bool any = count == 0;
      for (int64_t row = first; row < first + count && !any; ++row) any = IsSelected(row);
      return any;
    }
    int Write(const std::vector<R>& values, int64_t first, int64_t count) {
      if (static_cast<int64_t>(values.size()) != count) {  // a defect of the function, whatever its rows are
        SetError(
            error, -1,
            ("returned " + std::to_string(values.size()) + " values for a batch of " + std::to_string(count) + " rows")
                .c_str());
        return LEMAN_UDF_ROW_FAILED;
      }
      for (int64_t i = 0; i < count; ++i) {
        if (IsSelected(first + i)) {
          results.Set(first + i, values[static_cast<size_t>(i)]);
        } else {
          results.SetNull(first + i);
        }
      }
      return LEMAN_UDF_OK;
    }
  };
};

template <typename R, typename Arguments>
struct BatchCallerOf;
template <typename R, typename... T>
struct BatchCallerOf<std::vector<R>, std::tuple<Column<T>...>> {
  using Type = BatchCaller<R, T...>;
};

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
    return Guarded(error, [&] {
      auto& own = *static_cast<State<F>*>(state);
      return Caller::Apply(own.function, own.schema, batch, error);
    });
  }
  static void Free(void* state) { delete static_cast<State<F>*>(state); }

  static constexpr LemanUdf Udf(const char* name, const char* version, const char* summary, uint32_t flags) {
    return {sizeof(LemanUdf), name, version, summary, flags, &Describe, &Init, &Apply, &Free};
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
/// is called with fewer rows, down to one, where it throws and the job has an on_error.
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
