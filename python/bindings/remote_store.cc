#include "remote_store.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "io/local_object_store.h"
#include "python_error.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

// Runs `body` with the GIL and turns what it throws into an Error.
template <typename Body>
auto Ask(const Body& body) -> Result<decltype(body())> {
  const nb::gil_scoped_acquire gil;
  try {
    return body();
  } catch (const nb::python_error& exception) {
    return ErrorOf(exception, ErrorKind::kInternal);
  } catch (const nb::cast_error&) {
    return MakeError(ErrorKind::kInternal, "the object store's door gave a value of an unexpected type");
  }
}

nb::bytes BytesOf(std::string_view bytes) { return nb::bytes(bytes.data(), bytes.size()); }

std::string TextOf(const nb::object& object) {
  const auto bytes = nb::cast<nb::bytes>(object);
  return std::string(bytes.c_str(), bytes.size());
}

}  // namespace

RemoteStore::~RemoteStore() {
  const nb::gil_scoped_acquire gil;
  door_.reset();
}

Result<std::string> RemoteStore::Get(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  return Ask([&] { return TextOf(door_.attr("get")(key)); });
}

Result<std::string> RemoteStore::GetRange(const std::string& key, int64_t offset, int64_t size_bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  return Ask([&] { return TextOf(door_.attr("get_range")(key, offset, size_bytes)); });
}

Status RemoteStore::Put(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  return Ask([&] {
    door_.attr("put")(key, BytesOf(bytes));
    return Unit{};
  });
}

Status RemoteStore::PutIfAbsent(const std::string& key, std::string_view bytes) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const Status put = Ask([&] {
    door_.attr("put_if_absent")(key, BytesOf(bytes));
    return Unit{};
  });
  if (put.ok() || put.error().kind != ErrorKind::kAlreadyExists) return put;
  // A request whose answer was lost is sent again, and then finds what it put itself.
  const Result<std::string> found = Get(key);
  return found.ok() && *found == bytes ? Ok() : put;
}

Status RemoteStore::PutIfMatch(const std::string& key, std::string_view bytes, const std::string& expected) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  const Status put = Ask([&] {
    door_.attr("put_if_match")(key, BytesOf(bytes), BytesOf(expected));
    return Unit{};
  });
  if (put.ok() || put.error().kind != ErrorKind::kConflict) return put;
  const Result<std::string> found = Get(key);
  return found.ok() && *found == bytes ? Ok() : put;
}

Result<ObjectInfo> RemoteStore::Head(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  return Ask([&] {
    const nb::object head = door_.attr("head")(key);
    return ObjectInfo{nb::cast<int64_t>(head[0]), nb::cast<std::string>(head[1])};
  });
}

Result<std::vector<ObjectMeta>> RemoteStore::List(const std::string& folder) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(folder));
  return Ask([&] {
    std::vector<ObjectMeta> objects;
    const nb::object found = door_.attr("entries")(folder);
    for (const nb::handle item : found) {
      const auto object = nb::borrow<nb::tuple>(item);
      objects.push_back({nb::cast<std::string>(object[0]), nb::cast<int64_t>(object[1])});
    }
    return objects;
  });
}

Status RemoteStore::Copy(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(from));
  LEMAN_RETURN_IF_ERROR(ValidateKey(to));
  return Ask([&] {
    door_.attr("copy")(from, to);
    return Unit{};
  });
}

Status RemoteStore::Rename(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(Copy(from, to));
  // The new name is there, which is what counts; the old one is a leftover that `leman clean` knows.
  (void)Delete(from);
  return Ok();
}

Status RemoteStore::Delete(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  return Ask([&] {
    door_.attr("delete")(key);
    return Unit{};
  });
}

Result<bool> RemoteStore::Exists(const std::string& key) {
  const Result<ObjectInfo> head = Head(key);
  if (head.ok()) return true;
  if (head.error().kind == ErrorKind::kNotFound) return false;
  return head.error();
}

RemoteUploads::RemoteUploads(nb::object uploads) : uploads_(std::move(uploads)) {
  copies_ranges_ = nb::cast<bool>(uploads_.attr("copies_ranges"));
  any_order_ = nb::cast<bool>(uploads_.attr("any_order"));
}

RemoteUploads::~RemoteUploads() {
  const nb::gil_scoped_acquire gil;
  uploads_.reset();
}

Result<std::string> RemoteUploads::Create(const std::string& key) {
  return Ask([&] { return nb::cast<std::string>(uploads_.attr("create")(key)); });
}

Result<std::string> RemoteUploads::Upload(const std::string& key, const std::string& upload, int64_t number,
                                          std::string_view bytes) {
  return Ask([&] { return nb::cast<std::string>(uploads_.attr("upload")(key, upload, number, BytesOf(bytes))); });
}

Result<std::string> RemoteUploads::CopyRange(const std::string& key, const std::string& upload, int64_t number,
                                             const std::string& from, const std::string& etag, int64_t offset,
                                             int64_t size_bytes) {
  return Ask([&] {
    return nb::cast<std::string>(uploads_.attr("copy_range")(key, upload, number, from, etag, offset, size_bytes));
  });
}

Status RemoteUploads::Complete(const std::string& key, const std::string& upload,
                               const std::vector<std::string>& tags) {
  return Ask([&] {
    uploads_.attr("complete")(key, upload, tags);
    return Unit{};
  });
}

Result<std::vector<UploadedPart>> RemoteUploads::PartsOf(const std::string& key, const std::string& upload) {
  return Ask([&] {
    std::vector<UploadedPart> parts;
    const nb::object found = uploads_.attr("parts_of")(key, upload);
    for (const nb::handle item : found) {
      const auto part = nb::borrow<nb::tuple>(item);
      parts.push_back({nb::cast<int64_t>(part[0]), nb::cast<int64_t>(part[1]), nb::cast<std::string>(part[2])});
    }
    return parts;
  });
}

Status RemoteUploads::CompleteOf(const std::string& key, const std::string& upload,
                                 const std::vector<UploadedPart>& parts) {
  return Ask([&] {
    nb::list tags;
    for (const UploadedPart& part : parts) tags.append(nb::make_tuple(part.number, part.tag));
    uploads_.attr("complete_of")(key, upload, tags);
    return Unit{};
  });
}

Status RemoteUploads::Abort(const std::string& key, const std::string& upload) {
  return Ask([&] {
    uploads_.attr("abort")(key, upload);
    return Unit{};
  });
}

std::unique_ptr<ObjectStore> OpenStore(const nb::object& door, const std::string& table_root) {
  if (door.is_none()) return std::make_unique<LocalObjectStore>(table_root);
  return std::make_unique<RemoteStore>(door);
}

}  // namespace leman::python
