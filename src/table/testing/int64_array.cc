#include "table/testing/int64_array.h"

#include <deque>
#include <memory>

namespace leman::testing {
namespace {

struct ArrayData {
  std::vector<uint8_t> validity;
  std::vector<uint8_t> bits;
  std::vector<int64_t> values;
  std::vector<OwnedArray> columns;
  std::vector<ArrowArray*> pointers;
  std::vector<const void*> buffers;
};

OwnedArray Wrap(std::unique_ptr<ArrayData> data, int64_t length, int64_t null_count) {
  for (OwnedArray& column : data->columns) data->pointers.push_back(column.get());
  ArrowArray array{};
  array.length = length;
  array.null_count = null_count;
  array.n_buffers = static_cast<int64_t>(data->buffers.size());
  array.buffers = data->buffers.data();
  array.n_children = static_cast<int64_t>(data->pointers.size());
  array.children = data->pointers.data();
  array.private_data = data.release();
  array.release = [](ArrowArray* self) {
    const std::unique_ptr<ArrayData> owner(static_cast<ArrayData*>(self->private_data));
    self->release = nullptr;
  };
  return OwnedArray(&array);
}

struct SchemaData {
  std::string format;
  std::string name;
  std::vector<OwnedSchema> columns;
  std::vector<ArrowSchema*> pointers;
};

OwnedSchema WrapSchema(std::unique_ptr<SchemaData> data) {
  for (OwnedSchema& column : data->columns) data->pointers.push_back(column.get());
  ArrowSchema schema{};
  schema.format = data->format.c_str();
  schema.name = data->name.c_str();
  schema.flags = ARROW_FLAG_NULLABLE;
  schema.n_children = static_cast<int64_t>(data->pointers.size());
  schema.children = data->pointers.data();
  schema.private_data = data.release();
  schema.release = [](ArrowSchema* self) {
    const std::unique_ptr<SchemaData> owner(static_cast<SchemaData*>(self->private_data));
    self->release = nullptr;
  };
  return OwnedSchema(&schema);
}

struct StreamData {
  OwnedSchema schema;
  std::deque<OwnedArray> batches;
};

}  // namespace

OwnedArray MakeInt64Array(const Int64s& values) {
  auto data = std::make_unique<ArrayData>();
  data->validity.assign(values.size() / 8 + 1, 0);
  int64_t nulls = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    data->values.push_back(values[i].value_or(0));
    if (values[i]) data->validity[i / 8] |= static_cast<uint8_t>(1U << (i % 8));
    nulls += values[i] ? 0 : 1;
  }
  data->buffers = {data->validity.data(), data->values.data()};
  return Wrap(std::move(data), static_cast<int64_t>(values.size()), nulls);
}

OwnedArray MakeBoolArray(const std::vector<bool>& values) {
  auto data = std::make_unique<ArrayData>();
  data->bits.assign(values.size() / 8 + 1, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i]) data->bits[i / 8] |= static_cast<uint8_t>(1U << (i % 8));
  }
  data->buffers = {nullptr, data->bits.data()};
  return Wrap(std::move(data), static_cast<int64_t>(values.size()), 0);
}

OwnedArray MakeStructArray(std::vector<OwnedArray> columns, int64_t length) {
  auto data = std::make_unique<ArrayData>();
  data->columns = std::move(columns);
  data->buffers = {nullptr};
  return Wrap(std::move(data), length, 0);
}

OwnedSchema MakeSchema(const std::string& format, const std::string& name) {
  auto data = std::make_unique<SchemaData>();
  data->format = format;
  data->name = name;
  return WrapSchema(std::move(data));
}

OwnedSchema MakeStructSchema(std::vector<OwnedSchema> columns) {
  auto data = std::make_unique<SchemaData>();
  data->format = "+s";
  data->columns = std::move(columns);
  return WrapSchema(std::move(data));
}

Int64s ReadInt64Array(const ArrowArray& array) {
  Int64s values;
  const auto* validity = static_cast<const uint8_t*>(array.buffers[0]);
  const auto* data = static_cast<const int64_t*>(array.buffers[1]);
  for (int64_t i = array.offset; i < array.offset + array.length; ++i) {
    const bool valid = validity == nullptr || (validity[i / 8] >> (i % 8) & 1) != 0;
    values.push_back(valid ? std::optional<int64_t>(data[i]) : std::nullopt);
  }
  return values;
}

OwnedStream MakeStream(OwnedSchema schema, std::vector<OwnedArray> batches) {
  auto data = std::make_unique<StreamData>();
  data->schema = std::move(schema);
  for (OwnedArray& batch : batches) data->batches.push_back(std::move(batch));
  ArrowArrayStream stream{};
  stream.private_data = data.release();
  stream.get_schema = [](ArrowArrayStream*, ArrowSchema*) { return 38; };  // not used: BatchStream carries it
  stream.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
    auto& left = static_cast<StreamData*>(self->private_data)->batches;
    if (left.empty()) {
      out->release = nullptr;
      return 0;
    }
    left.front().MoveTo(out);
    left.pop_front();
    return 0;
  };
  stream.get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
  stream.release = [](ArrowArrayStream* self) {
    const std::unique_ptr<StreamData> owner(static_cast<StreamData*>(self->private_data));
    self->release = nullptr;
  };
  return OwnedStream(&stream);
}

}  // namespace leman::testing
