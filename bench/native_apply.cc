// Rows a second of a native scalar function as the applier calls it: batches of 10,240 rows, one thread, no storage.
// Usage: leman_native_bench LIBRARY [seconds]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "leman/udf_schema.h"
#include "leman/udf_values.h"
#include "udf/native_udf.h"

namespace {

constexpr int64_t kBatchRows = 10'240;
constexpr int kRuns = 7;

leman::OwnedArray BatchOf(std::vector<int64_t>& values) {
  auto column = std::make_unique<leman::udf::ArrayOwner>();
  column->buffers.resize(2);
  column->buffers[1].Append(values.data(), values.size() * sizeof(int64_t));
  auto owner = std::make_unique<leman::udf::ArrayOwner>();
  owner->buffers.emplace_back();
  owner->children.resize(1);
  leman::udf::Export(std::move(column), static_cast<int64_t>(values.size()), 0, &owner->children[0]);
  ArrowArray batch{};
  leman::udf::Export(std::move(owner), static_cast<int64_t>(values.size()), 0, &batch);
  return leman::OwnedArray(&batch);
}

int Fail(const leman::Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: %s LIBRARY [seconds]\n", argv[0]), 2;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0.5;
  auto library = leman::NativeLibrary::Open(argv[1]);
  if (!library.ok()) return Fail(library.error());
  auto found = (*library)->Find("plus_one");
  if (!found.ok()) return Fail(found.error());
  auto described = (*library)->Describe(**found, "{}");
  if (!described.ok()) return Fail(described.error());
  auto state = leman::NativeState::Make(*library, "plus_one", "{}", *described->inputs.get());
  if (!state.ok()) return Fail(state.error());
  leman::NativeUdf udf(*state, std::move(described->output), nullptr);

  std::vector<int64_t> values(kBatchRows);
  for (int64_t i = 0; i < kBatchRows; ++i) values[static_cast<size_t>(i)] = i;
  using Clock = std::chrono::steady_clock;
  for (int run = 0; run < kRuns; ++run) {
    int64_t rows = 0;
    int64_t sum = 0;
    std::chrono::duration<double> taken{0};
    while (taken.count() < seconds) {
      std::vector<leman::OwnedArray> batches;
      for (int i = 0; i < 64; ++i) batches.push_back(BatchOf(values));
      const auto start = Clock::now();
      for (leman::OwnedArray& batch : batches) {
        int64_t failed_row = -1;
        auto result = udf.Apply(std::move(batch), nullptr, &failed_row);
        if (!result.ok()) return Fail(result.error());
        sum += static_cast<const int64_t*>((*result)->buffers[1])[kBatchRows - 1];
        rows += kBatchRows;
      }
      taken += Clock::now() - start;
    }
    if (sum != rows) return std::fprintf(stderr, "wrong values\n"), 1;
    std::printf("%.1f\n", static_cast<double>(rows) / taken.count() / 1e6);
  }
  return 0;
}
