#include "arguments.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace leman::host {
namespace nb = nanobind;
namespace {

// An optional that is not set leaves the argument out, so that Python's default holds.
template <typename T>
void PutIfSet(nb::dict& arguments, const char* name, const std::optional<T>& value) {
  if (value) arguments[name] = nb::cast(*value);
}

const char* NameOf(OnError::Action action) {
  switch (action) {
    case OnError::Action::kRetry:
      return "Retry";
    case OnError::Action::kSkip:
      return "Skip";
    case OnError::Action::kFail:
      break;
  }
  return "Fail";
}

nb::object MatcherOf(const OnError& policy) {
  nb::dict arguments;
  PutIfSet(arguments, "match", policy.match);
  if (policy.action == OnError::Action::kRetry) {
    arguments["max_attempts"] = policy.max_attempts;
    arguments["backoff"] = policy.backoff;
  } else if (policy.action == OnError::Action::kSkip) {
    PutIfSet(arguments, "max_skip_count", policy.max_skip_count);
    PutIfSet(arguments, "max_skip_fraction", policy.max_skip_fraction);
  }
  return nb::module_::import_("leman.cpp_api").attr("matcher")(NameOf(policy.action), policy.errors, arguments);
}

}  // namespace

nb::dict ArgumentsOf(const CreateTableOptions& options) {
  nb::dict arguments;
  arguments["mode"] = options.mode;
  arguments["exist_ok"] = options.exist_ok;
  PutIfSet(arguments, "max_rows_per_file", options.max_rows_per_file);
  PutIfSet(arguments, "data_storage_version", options.data_storage_version);
  return arguments;
}

nb::dict ArgumentsOf(const ScanOptions& options) {
  nb::dict arguments;
  PutIfSet(arguments, "columns", options.columns);
  PutIfSet(arguments, "filter", options.filter);
  PutIfSet(arguments, "limit", options.limit);
  PutIfSet(arguments, "offset", options.offset);
  PutIfSet(arguments, "batch_size", options.batch_size);
  return arguments;
}

nb::object FunctionOf(const NativeUdf& udf) {
  nb::dict options;
  if (!udf.input_columns.empty()) options["input_columns"] = nb::cast(udf.input_columns);
  if (!udf.on_error.empty()) {
    nb::list matchers;
    for (const OnError& policy : udf.on_error) matchers.append(MatcherOf(policy));
    options["on_error"] = matchers;
  }
  PutIfSet(options, "num_cpus", udf.num_cpus);
  PutIfSet(options, "num_gpus", udf.num_gpus);
  if (udf.timeout) options["timeout"] = udf.timeout->count();
  PutIfSet(options, "memory", udf.memory);
  PutIfSet(options, "batch_size", udf.batch_size);
  const nb::object library = udf.is_builtin ? nb::none() : nb::object(nb::cast(udf.library));
  return nb::module_::import_("leman.cpp_api").attr("native_function")(library, udf.function, udf.params, options);
}

nb::dict ArgumentsOf(const BackfillOptions& options) {
  nb::dict arguments;
  PutIfSet(arguments, "input_columns", options.input_columns);
  if (options.udf) arguments["udf"] = FunctionOf(*options.udf);
  PutIfSet(arguments, "where", options.where);
  arguments["concurrency"] = options.concurrency;
  arguments["intra_applier_concurrency"] = options.intra_applier_concurrency;
  arguments["refresh_status_secs"] = options.refresh_status_secs;
  // Not set means one commit at the end, which is not the default.
  arguments["commit_granularity"] = options.commit_granularity;
  PutIfSet(arguments, "read_version", options.read_version);
  PutIfSet(arguments, "task_shuffle_diversity", options.task_shuffle_diversity);
  PutIfSet(arguments, "batch_size", options.batch_size);
  PutIfSet(arguments, "num_frags", options.num_frags);
  arguments["skip_frags"] = options.skip_frags;
  PutIfSet(arguments, "task_size", options.task_size);
  PutIfSet(arguments, "checkpoint_size", options.checkpoint_size);
  PutIfSet(arguments, "min_checkpoint_size", options.min_checkpoint_size);
  PutIfSet(arguments, "max_checkpoint_size", options.max_checkpoint_size);
  PutIfSet(arguments, "num_cpus", options.num_cpus);
  PutIfSet(arguments, "num_gpus", options.num_gpus);
  PutIfSet(arguments, "memory", options.memory);
  if (!options.resources.empty()) arguments["resources"] = nb::cast(options.resources);
  if (!options.label_selector.empty()) arguments["label_selector"] = nb::cast(options.label_selector);
  PutIfSet(arguments, "executor", options.executor);
  if (options.timeout) arguments["timeout"] = options.timeout->count();
  if (options.stall_timeout) arguments["stall_timeout"] = options.stall_timeout->count();
  arguments["retry_failed"] = options.retry_failed;
  PutIfSet(arguments, "job_id", options.job_id);
  return arguments;
}

}  // namespace leman::host
