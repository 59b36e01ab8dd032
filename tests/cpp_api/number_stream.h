// The numbers 0, 1, 2 … as an Arrow C stream with one int64 column, x.
#pragma once

#include <leman/leman.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace number_stream {

struct Batch {
  std::vector<int64_t> values;
  const void* no_buffer = nullptr;
  const void* buffers[2] = {};
  ArrowArray child{};
  ArrowArray* children[1] = {&child};
};

struct Stream {
  int64_t rows = 0;
  int64_t batch_rows = 0;
  int64_t next = 0;
};

inline int GetSchema(ArrowArrayStream*, ArrowSchema* out) {
  struct Description {
    ArrowSchema child{};
    ArrowSchema* children[1] = {&child};
  };
  auto* description = new Description;
  description->child.format = "l";
  description->child.name = "x";
  description->child.flags = ARROW_FLAG_NULLABLE;
  description->child.release = [](ArrowSchema* child) { child->release = nullptr; };
  *out = {};
  out->format = "+s";
  out->name = "";
  out->n_children = 1;
  out->children = description->children;
  out->private_data = description;
  out->release = [](ArrowSchema* schema) {
    delete static_cast<Description*>(schema->private_data);
    schema->release = nullptr;
  };
  return 0;
}

inline int GetNext(ArrowArrayStream* self, ArrowArray* out) {
  auto& stream = *static_cast<Stream*>(self->private_data);
  *out = {};
  if (stream.next == stream.rows) return 0;
  auto* batch = new Batch;
  batch->values.resize(static_cast<size_t>(std::min(stream.batch_rows, stream.rows - stream.next)));
  std::iota(batch->values.begin(), batch->values.end(), stream.next);
  const auto length = static_cast<int64_t>(batch->values.size());
  stream.next += length;
  batch->buffers[1] = batch->values.data();
  batch->child.length = length;
  batch->child.n_buffers = 2;
  batch->child.buffers = batch->buffers;
  batch->child.release = [](ArrowArray* child) { child->release = nullptr; };
  out->length = length;
  out->n_buffers = 1;
  out->buffers = &batch->no_buffer;
  out->n_children = 1;
  out->children = batch->children;
  out->private_data = batch;
  out->release = [](ArrowArray* array) {
    delete static_cast<Batch*>(array->private_data);
    array->release = nullptr;
  };
  return 0;
}

/// How many streams are not released yet.
inline int& Alive() {
  static int alive = 0;
  return alive;
}

inline ArrowArrayStream Make(int64_t rows, int64_t batch_rows = 1000) {
  ArrowArrayStream stream{};
  stream.get_schema = &GetSchema;
  stream.get_next = &GetNext;
  stream.get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
  stream.release = [](ArrowArrayStream* done) {
    delete static_cast<Stream*>(done->private_data);
    done->release = nullptr;
    --Alive();
  };
  stream.private_data = new Stream{rows, batch_rows, 0};
  ++Alive();
  return stream;
}

/// A new table of numbers.
inline leman::Table MakeTable(const leman::Connection& db, const std::string& name, int64_t rows,
                              int64_t rows_per_file = 1000) {
  ArrowArrayStream data = Make(rows, rows_per_file);
  leman::CreateTableOptions options;
  options.max_rows_per_file = rows_per_file;
  return db.CreateTable(name, &data, options).value();
}

/// The values of a fixed-width column; nulls are left out.
template <typename T>
std::vector<T> Read(const leman::Table& table, const std::string& column, leman::ScanOptions options = {}) {
  options.columns = {column};
  ArrowArrayStream stream;
  table.Scan(&stream, options).value();
  std::vector<T> values;
  ArrowArray batch{};
  while (stream.get_next(&stream, &batch) == 0 && batch.release != nullptr) {
    const ArrowArray& array = *batch.children[0];
    const auto* valid = static_cast<const uint8_t*>(array.buffers[0]);
    const auto* data = static_cast<const T*>(array.buffers[1]);
    for (int64_t row = array.offset; row < array.offset + array.length; ++row) {
      if (valid == nullptr || (valid[row / 8] >> (row % 8) & 1) != 0) values.push_back(data[row]);
    }
    batch.release(&batch);
  }
  stream.release(&stream);
  return values;
}

}  // namespace number_stream
