// Builders of text and binary.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "scalar/array_export.h"
#include "scalar/user_exception.h"
#include "scalar/value_builder.h"

namespace leman::python::scalar {
namespace {

// Room made before it is known to be needed, at most.
constexpr int64_t kMostGuessed = int64_t{64} << 20;

// The bytes of one value; `buffer` is held while `data` is used.
struct Bytes {
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() {
    if (buffer.obj != nullptr) PyBuffer_Release(&buffer);
  }

  const char* data = nullptr;
  int64_t size = 0;
  Py_buffer buffer{};
  PyRef contiguous;
};

bool OpenText(PyObject* value, Bytes* out, Refusal* why) {
  if (!PyUnicode_Check(value)) {
    const std::string lazy = LazyResult(value);
    if (!lazy.empty()) return why->Type(lazy);
    if (PyBytes_Check(value) || PyByteArray_Check(value)) return why->Type("not a str; use .decode() if that is meant");
    return why->Type("not a str; use str(...) if that is meant");
  }
  Py_ssize_t size = 0;
  out->data = PyUnicode_AsUTF8AndSize(value, &size);
  out->size = size;
  return out->data != nullptr ? true : why->FromPending("encoding it as UTF-8");
}

bool OpenBuffer(PyObject* value, Bytes* out, Refusal* why) {
  if (PyObject_GetBuffer(value, &out->buffer, PyBUF_FULL_RO) != 0) return why->FromPending("reading its bytes");
  if (out->buffer.itemsize != 1) return why->Type("its items are not bytes; use .tobytes() if that is meant");
  if (PyBuffer_IsContiguous(&out->buffer, 'C') != 0) {
    out->data = static_cast<const char*>(out->buffer.buf);
    out->size = out->buffer.len;
    return true;
  }
  out->contiguous = PyRef::Steal(PyBytes_FromObject(value));
  if (!out->contiguous) return why->FromPending("reading its bytes");
  out->data = PyBytes_AS_STRING(out->contiguous.get());
  out->size = PyBytes_GET_SIZE(out->contiguous.get());
  return true;
}

bool OpenBytes(PyObject* value, Bytes* out, Refusal* why) {
  if (PyBytes_Check(value)) {
    out->data = PyBytes_AS_STRING(value);
    out->size = PyBytes_GET_SIZE(value);
    return true;
  }
  if (PyObject_CheckBuffer(value)) return OpenBuffer(value, out, why);
  const std::string lazy = LazyResult(value);
  if (!lazy.empty()) return why->Type(lazy);
  if (PyUnicode_Check(value)) return why->Type("not bytes; use .encode() if that is meant");
  return why->Type("not bytes, bytearray or memoryview");
}

template <typename Offset, bool (*kOpen)(PyObject*, Bytes*, Refusal*)>
class OffsetBuilder final : public ValueBuilder {
 public:
  explicit OffsetBuilder(const ArrowType& type) : type_(type) { PutOffset(0, 0); }

  void Reserve(int64_t rows) override {
    expected_ = length() + rows;
    offsets_.Reserve((expected_ + 1) * kWidth);
  }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    Bytes bytes;
    if (!kOpen(value, &bytes, why)) return false;
    if (bytes.size > std::numeric_limits<Offset>::max() - used_) {
      return why->Set(PyExc_OverflowError, type_.text + " holds 2 GiB a batch: declare large_" + type_.text +
                                               ", or use a smaller batch_size");
    }
    data_.Reserve(used_ + bytes.size);
    if (bytes.size != 0) std::memcpy(data_.data() + used_, bytes.data, static_cast<size_t>(bytes.size));
    used_ += bytes.size;
    PutOffset(length() + 1, used_);
    validity_.AppendValid();
    data_.Reserve(GuessTotal(used_, length(), expected_, kMostGuessed));
    return true;
  }

  void AppendNull() override {
    PutOffset(length() + 1, used_);
    validity_.AppendNull();
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }
  void Truncate(int64_t length) override {
    validity_.Truncate(length);
    Offset end = 0;
    std::memcpy(&end, offsets_.data() + length * kWidth, sizeof end);
    used_ = end;
  }

  bool Finish(OwnedArray* out, int64_t*, Refusal*) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    data_.Reserve(1);
    data_.Trim(used_);
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    buffers.push_back(std::move(offsets_));
    buffers.push_back(std::move(data_));
    *out = ExportArray(rows, nulls, std::move(buffers));
    return true;
  }

 private:
  static constexpr auto kWidth = static_cast<int64_t>(sizeof(Offset));

  void PutOffset(int64_t index, int64_t offset) {
    offsets_.Reserve((index + 1) * kWidth);
    const auto narrow = static_cast<Offset>(offset);
    std::memcpy(offsets_.data() + index * kWidth, &narrow, sizeof narrow);
  }

  const ArrowType& type_;
  Validity validity_;
  Buffer offsets_;
  Buffer data_;
  int64_t used_ = 0;
  int64_t expected_ = 0;
};

class FixedBinaryBuilder final : public ValueBuilder {
 public:
  explicit FixedBinaryBuilder(const ArrowType& type) : type_(type) {}

  void Reserve(int64_t rows) override { data_.Reserve(std::min((length() + rows) * type_.size, kMostGuessed)); }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    Bytes bytes;
    if (!OpenBytes(value, &bytes, why)) return false;
    if (bytes.size != type_.size) {
      return why->Value("expected " + std::to_string(type_.size) + " bytes, got " + std::to_string(bytes.size));
    }
    std::memcpy(Next(), bytes.data, static_cast<size_t>(type_.size));
    validity_.AppendValid();
    return true;
  }

  void AppendNull() override {
    std::memset(Next(), 0, static_cast<size_t>(type_.size));
    validity_.AppendNull();
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }
  void Truncate(int64_t length) override { validity_.Truncate(length); }

  bool Finish(OwnedArray* out, int64_t*, Refusal*) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    data_.Reserve(1);
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    buffers.push_back(std::move(data_));
    *out = ExportArray(rows, nulls, std::move(buffers));
    return true;
  }

 private:
  uint8_t* Next() {
    data_.Reserve((length() + 1) * type_.size + 1);
    return data_.data() + length() * type_.size;
  }

  const ArrowType& type_;
  Validity validity_;
  Buffer data_;
};

}  // namespace

BuilderPtr MakeBytesBuilder(const ArrowType& type) {
  switch (type.id) {
    case TypeId::kUtf8:
      return std::make_unique<OffsetBuilder<int32_t, OpenText>>(type);
    case TypeId::kLargeUtf8:
      return std::make_unique<OffsetBuilder<int64_t, OpenText>>(type);
    case TypeId::kBinary:
      return std::make_unique<OffsetBuilder<int32_t, OpenBytes>>(type);
    case TypeId::kLargeBinary:
      return std::make_unique<OffsetBuilder<int64_t, OpenBytes>>(type);
    default:
      return std::make_unique<FixedBinaryBuilder>(type);
  }
}

}  // namespace leman::python::scalar
