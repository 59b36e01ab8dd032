#include "cleanup_binding.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/set.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "job/cleanup.h"
#include "remote_store.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

template <typename T>
T Get(const nb::dict& dict, const char* name) {
  return nb::cast<T>(dict[name]);
}

KnownJob JobFrom(const nb::dict& dict) {
  return {Get<std::string>(dict, "job_id"),
          Get<bool>(dict, "alive"),
          Get<std::optional<int64_t>>(dict, "launched_micros"),
          Get<std::string>(dict, "column"),
          Get<std::string>(dict, "udf_version"),
          Get<std::optional<std::string>>(dict, "where"),
          Get<std::vector<std::string>>(dict, "output_types")};
}

// The fields of the dict are those of CleanupInputs.
CleanupInputs InputsFrom(const nb::dict& dict) {
  CleanupInputs inputs;
  inputs.now_micros = Get<int64_t>(dict, "now_micros");
  for (const nb::handle item : nb::list(dict["files"])) {
    const auto file = nb::borrow<nb::tuple>(item);
    inputs.files.push_back({nb::cast<std::string>(file[0]), nb::cast<int64_t>(file[1]), nb::cast<int64_t>(file[2])});
  }
  inputs.referred_data = Get<std::set<std::string>>(dict, "referred_data");
  inputs.referred_payloads = Get<std::set<std::string>>(dict, "referred_payloads");
  for (const nb::handle job : nb::list(dict["jobs"])) inputs.jobs.push_back(JobFrom(nb::borrow<nb::dict>(job)));
  for (const nb::handle item : nb::list(dict["leases"])) {
    const auto lease = nb::borrow<nb::tuple>(item);
    const auto bytes = nb::cast<nb::bytes>(lease[1]);
    inputs.leases.push_back(
        {nb::cast<std::string>(lease[0]), std::string(bytes.c_str(), bytes.size()), nb::cast<bool>(lease[2])});
  }
  inputs.grace_micros = Get<int64_t>(dict, "grace_micros");
  inputs.payload_grace_micros = Get<int64_t>(dict, "payload_grace_micros");
  inputs.jobs_older_than_micros = Get<std::optional<int64_t>>(dict, "jobs_older_than_micros");
  return inputs;
}

nb::list ListOf(const std::vector<CleanupItem>& items) {
  nb::list list;
  for (const CleanupItem& item : items) {
    list.append(nb::make_tuple(item.key, item.size_bytes, std::string(CleanupReasonText(item.reason))));
  }
  return list;
}

nb::dict DescribePlan(const CleanupPlan& plan) {
  nb::dict dict;
  dict["remove"] = ListOf(plan.remove);
  dict["keep"] = ListOf(plan.keep);
  return dict;
}

nb::dict PlanFromPython(const nb::dict& inputs) { return DescribePlan(PlanCleanup(InputsFrom(inputs))); }

nb::dict CleanFromPython(const std::string& table_root, const nb::dict& described, const nb::object& door) {
  const CleanupInputs inputs = InputsFrom(described);
  CleanupPlan plan;
  CleanupResult result;
  const std::unique_ptr<ObjectStore> store = OpenStore(door, table_root);
  {
    const nb::gil_scoped_release no_gil;
    plan = PlanCleanup(inputs);
    result = CarryOutCleanup(plan, *store);
  }
  nb::dict dict = DescribePlan(plan);
  dict["files"] = result.files;
  dict["bytes"] = result.bytes;
  dict["failed"] = result.failed;
  dict["error"] = result.first_error ? nb::object(nb::cast(result.first_error->message)) : nb::none();
  return dict;
}

}  // namespace

void BindCleanup(nb::module_& m) {
  m.def("plan_cleanup", &PlanFromPython);
  m.def("clean_table", &CleanFromPython, nb::arg("table_root"), nb::arg("inputs"), nb::arg("door") = nb::none());
}

}  // namespace leman::python
