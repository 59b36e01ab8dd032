#include "blob_writer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "python_error.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

class BlobFile final : public ColumnFile {
 public:
  BlobFile(std::unique_ptr<ColumnFile> other, const nb::object& values, const ArrowExchange& exchange,
           const ArrowSchema& results)
      : other_(std::move(other)), values_(values), exchange_(exchange), results_(results) {}

  Status Write(OwnedArray results) override {
    std::optional<SharedObject> parts;
    {
      const nb::gil_scoped_acquire gil;
      try {
        parts.emplace(nb::iter(values_(exchange_.ToArray(std::move(results), results_))));
      } catch (const nb::python_error& exception) {
        return ErrorOf(exception, ErrorKind::kInternal);
      }
    }
    while (true) {
      LEMAN_ASSIGN_OR_RETURN(std::optional<OwnedArray> part, Next(parts->get()));
      if (!part) return Ok();
      LEMAN_RETURN_IF_ERROR(other_->Write(std::move(*part)));
    }
  }

  Result<ClosedFile> Close(const std::map<std::string, std::string>& metadata) override {
    std::map<std::string, std::string> entries = metadata;
    entries["leman.largest_value_bytes"] = std::to_string(largest_bytes_);
    return other_->Close(entries);
  }

 private:
  Result<std::optional<OwnedArray>> Next(const nb::object& parts) {
    const nb::gil_scoped_acquire gil;
    try {
      const auto found = nb::steal(PyIter_Next(parts.ptr()));
      if (!found.is_valid()) {
        if (PyErr_Occurred() != nullptr) nb::raise_python_error();
        return std::optional<OwnedArray>();
      }
      largest_bytes_ = std::max(largest_bytes_, nb::cast<int64_t>(found[1]));
      return std::optional<OwnedArray>(ArrowExchange::FromArray(found[0]));
    } catch (const nb::python_error& exception) {
      return ErrorOf(exception, ErrorKind::kInternal);
    }
  }

  std::unique_ptr<ColumnFile> other_;
  const nb::object& values_;
  const ArrowExchange& exchange_;
  const ArrowSchema& results_;
  int64_t largest_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<ColumnFile>> BlobWriter::Create(const std::string& path, const std::string& pages_path) {
  LEMAN_ASSIGN_OR_RETURN(std::unique_ptr<ColumnFile> other, other_->Create(path, pages_path));
  return std::unique_ptr<ColumnFile>(
      std::make_unique<BlobFile>(std::move(other), values_.get(), exchange_, *results_.get()));
}

}  // namespace leman::python
