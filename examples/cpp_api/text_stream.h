// A column of texts as an Arrow C stream. Programs that use Arrow C++ or nanoarrow export theirs instead, e.g. with
// arrow::ExportRecordBatchReader.
#pragma once

#include <leman/leman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

/// Gives one batch with one column of texts, then the end. What it allocates goes with the structs that point at it.
class TextStream {
 public:
  /// Fills `*out`, which owns everything.
  static void Export(const std::string& column, const std::vector<std::string>& texts, ArrowArrayStream* out) {
    auto* stream = new TextStream(column);
    for (const std::string& text : texts) {
      stream->values_ += text;
      stream->offsets_.push_back(static_cast<int32_t>(stream->values_.size()));
    }
    *out = {&GetSchema, &GetNext, [](ArrowArrayStream*) -> const char* { return nullptr; },
            [](ArrowArrayStream* done) {
              delete static_cast<TextStream*>(done->private_data);
              done->release = nullptr;
            },
            stream};
  }

 private:
  // A struct array and its one child, with the buffers that they point at.
  struct Batch {
    std::vector<int32_t> offsets;
    std::string values;
    const void* no_buffer = nullptr;
    const void* buffers[3] = {};
    ArrowArray child{};
    ArrowArray* children[1] = {&child};
  };
  struct Description {
    std::string name;
    ArrowSchema child{};
    ArrowSchema* children[1] = {&child};
  };

  explicit TextStream(std::string column) : column_(std::move(column)) {}

  static int GetSchema(ArrowArrayStream* self, ArrowSchema* out) {
    auto description = std::make_unique<Description>();
    description->name = static_cast<TextStream*>(self->private_data)->column_;
    description->child = {"u",     description->name.c_str(),
                          nullptr, ARROW_FLAG_NULLABLE,
                          0,       nullptr,
                          nullptr, [](ArrowSchema* child) { child->release = nullptr; },
                          nullptr};
    *out = {"+s",
            "",
            nullptr,
            0,
            1,
            description->children,
            nullptr,
            [](ArrowSchema* schema) {
              delete static_cast<Description*>(schema->private_data);
              schema->release = nullptr;
            },
            nullptr};
    out->private_data = description.release();
    return 0;
  }

  static int GetNext(ArrowArrayStream* self, ArrowArray* out) {
    auto& stream = *static_cast<TextStream*>(self->private_data);
    std::memset(out, 0, sizeof *out);
    if (stream.offsets_.size() < 2) return 0;  // A released array is the end.
    auto batch = std::make_unique<Batch>();
    batch->offsets = std::move(stream.offsets_);
    batch->values = std::move(stream.values_);
    stream.offsets_.assign(1, 0);
    const auto rows = static_cast<int64_t>(batch->offsets.size()) - 1;
    batch->buffers[1] = batch->offsets.data();
    batch->buffers[2] = batch->values.data();
    batch->child = {
        rows,   0, 0, 3, 0, batch->buffers, nullptr, nullptr, [](ArrowArray* child) { child->release = nullptr; },
        nullptr};
    *out = {rows,
            0,
            0,
            1,
            1,
            &batch->no_buffer,
            batch->children,
            nullptr,
            [](ArrowArray* array) {
              delete static_cast<Batch*>(array->private_data);
              array->release = nullptr;
            },
            nullptr};
    out->private_data = batch.release();
    return 0;
  }

  std::string column_;
  std::vector<int32_t> offsets_{0};
  std::string values_;
};
