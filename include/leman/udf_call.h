// How the functions of leman/udf.h are called: scalar functions row by row, functions of whole columns on the rows that
// are selected.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "leman/udf_schema.h"

#pragma GCC visibility push(hidden)
namespace leman::udf {

/// Thrown by a constructor or a check for parameters or columns that the function does not take.
class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
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

// ---- Calling -----------------------------------------------------------------------------------------------------

/// Tells whoever watches the call which rows it is about; nobody where calls have no time limit.
class Position {
 public:
  explicit Position(LemanUdfPosition* told) : told_(told) {}
  [[nodiscard]] bool is_told() const { return told_ != nullptr; }
  /// `first` and `rows` are of the batch.
  void Set(int64_t first, int64_t rows) const {
    if (told_ == nullptr) return;
    std::atomic_ref<int64_t>(told_->first).store(first, std::memory_order_relaxed);
    std::atomic_ref<int64_t>(told_->rows).store(rows, std::memory_order_relaxed);
  }

 private:
  LemanUdfPosition* told_;
};

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
  static int Apply(F& function, const ArrowSchema& schema, LemanUdfBatch* batch, Position position,
                   LemanUdfError* error) {
    const ArrowArray& inputs = *batch->inputs;
    Columns columns = Open(schema, inputs, std::index_sequence_for<A...>{});
    Results<R> results(inputs.length);
    int64_t row = 0;
    const bool all = AllRowsAreCalled(*batch, columns);
    while (row < inputs.length) {
      try {
        if (all) {
          CallAll(function, columns, results, inputs.length, position, row);
        } else {
          CallSome(function, columns, results, *batch, inputs.length, position, row);
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
  static void CallAll(F& function, const Columns& columns, Results<R>& results, int64_t rows, Position position,
                      int64_t& row) {
    if constexpr (TakesAll<F, R, A...>) {
      const auto all = [&](const auto&... column) { return function.All(column..., results); };
      if (row == 0 && rows > 0 && std::apply(all, columns)) {
        row = rows;
        return;
      }
    }
    if (position.is_told()) {
      for (; row < rows; ++row) {
        position.Set(row, 1);
        results.Set(row, std::apply([&](const auto&... column) { return function(column[row]...); }, columns));
      }
      return;
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
                       Position position, int64_t& row) {
    for (; row < rows; ++row) {
      if (batch.selected != nullptr && batch.selected[row] == 0) {
        results.SetNull(row);
      } else if (IsShort(columns, row, std::index_sequence_for<A...>{})) {
        ++batch.null_inputs;
        results.SetNull(row);
      } else {
        position.Set(row, 1);
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

/// The rows of a column that a batch function is to see, as a column of their own.
template <typename A>
class SelectedRows {
 public:
  SelectedRows(const Column<A>& column, const int64_t* rows, int64_t count) {
    Results<A> gathered(count);
    for (int64_t i = 0; i < count; ++i) {
      if (column.is_null(rows[i])) {
        gathered.SetNull(i);
      } else {
        gathered.Set(i, column[rows[i]]);
      }
    }
    gathered.Finish(count, &array_);
    Export(OutputType<A>::Make(""), &schema_);
  }
  SelectedRows(const SelectedRows&) = delete;
  SelectedRows& operator=(const SelectedRows&) = delete;
  ~SelectedRows() {
    array_.release(&array_);
    schema_.release(&schema_);
  }
  [[nodiscard]] Column<A> column() const { return Column<A>(array_, schema_, 0, array_.length); }

 private:
  ArrowArray array_{};
  ArrowSchema schema_{};
};

/// Calls a function of whole columns, which returns one value a row. It sees the selected rows alone.
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
  static int Apply(F& function, const ArrowSchema& schema, LemanUdfBatch* batch, Position position,
                   LemanUdfError* error) {
    const int64_t rows = batch->inputs->length;
    Call<F> call{function, schema, *batch, position, error, SelectedOf(*batch), Results<R>(rows)};
    const int code = call.Rows(0, batch->selected == nullptr ? rows : static_cast<int64_t>(call.selected.size()));
    if (code != LEMAN_UDF_OK) return code;
    call.SetNullUpTo(rows);
    call.results.Finish(rows, batch->output);
    return code;
  }

 private:
  // Their positions; of all rows, none are needed.
  static std::vector<int64_t> SelectedOf(const LemanUdfBatch& batch) {
    std::vector<int64_t> rows;
    for (int64_t row = 0; batch.selected != nullptr && row < batch.inputs->length; ++row) {
      if (batch.selected[row] != 0) rows.push_back(row);
    }
    return rows;
  }

  template <typename F>
  struct Call {
    F& function;
    const ArrowSchema& schema;
    const LemanUdfBatch& batch;
    Position position;
    LemanUdfError* error;
    std::vector<int64_t> selected;
    Results<R> results;
    int64_t rows_set = 0;

    // The results of `count` of the selected rows from the `first` of them on, in row order.
    int Rows(int64_t first, int64_t count) {
      while (count > 0) {
        std::vector<R> values;
        std::string message;
        bool failed = false;
        position.Set(RowOf(first), RowOf(first + count - 1) + 1 - RowOf(first));
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
        const int64_t row = RowOf(first);
        const int action = asks ? batch.on_row_error(batch.context, row, message.c_str()) : LEMAN_ROW_FAIL;
        if (action == LEMAN_ROW_RETRY) continue;
        if (action == LEMAN_ROW_NULL) {
          SetNullUpTo(row + 1);
          return LEMAN_UDF_OK;
        }
        SetError(error, count == 1 ? row : -1, message.c_str());
        return LEMAN_UDF_ROW_FAILED;
      }
      return LEMAN_UDF_OK;
    }
    void SetNullUpTo(int64_t end) {
      while (rows_set < end) results.SetNull(rows_set++);
    }

   private:
    [[nodiscard]] int64_t RowOf(int64_t index) const {
      return batch.selected == nullptr ? index : selected[static_cast<size_t>(index)];
    }
    template <size_t... I>
    std::vector<R> Values(int64_t first, int64_t count, std::index_sequence<I...>) {
      const ArrowArray& inputs = *batch.inputs;
      if (static_cast<int64_t>(selected.size()) == inputs.length || batch.selected == nullptr) {
        return function(Column<A>(*inputs.children[I], *schema.children[I], inputs.offset + first, count)...);
      }
      const int64_t* const rows = selected.data() + first;
      const auto call = [&](const SelectedRows<A>&... seen) { return function(seen.column()...); };
      return call(SelectedRows<A>(Column<A>(*inputs.children[I], *schema.children[I], inputs.offset, inputs.length),
                                  rows, count)...);
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
        SetNullUpTo(RowOf(first + i));
        results.Set(rows_set++, values[static_cast<size_t>(i)]);
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

}  // namespace leman::udf
#pragma GCC visibility pop
