// What functions return for blobs, written as the plain values that checkpoints hold.
#pragma once

#include <memory>
#include <string>

#include "arrow_exchange.h"
#include "shared_object.h"
#include "table/column_writer.h"

namespace leman::python {

/// Takes arrays of RESULT_TYPE (python/leman/blob_outputs.py), gives another writer their values.
class BlobWriter final : public ColumnWriter {
 public:
  /// `values` of a worker's session yields the values of results, few bytes at a time; `results` is their type.
  BlobWriter(std::unique_ptr<ColumnWriter> other, nanobind::object values, OwnedSchema results)
      : other_(std::move(other)), values_(std::move(values)), results_(std::move(results)) {}

  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) override;
  void UseQueue(WriteQueue& queue) override { other_->UseQueue(queue); }
  Result<ClosedFile> Place(const std::string& path, const std::string& pages_path, ClosedFile closed) override {
    return other_->Place(path, pages_path, std::move(closed));
  }

 private:
  std::unique_ptr<ColumnWriter> other_;
  SharedObject values_;
  ArrowExchange exchange_;
  OwnedSchema results_;
};

}  // namespace leman::python
