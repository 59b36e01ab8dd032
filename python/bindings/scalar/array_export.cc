#include "scalar/array_export.h"

#include <memory>
#include <utility>

namespace leman::python::scalar {
namespace {

struct Exported {
  std::vector<Buffer> buffers;
  std::vector<const void*> pointers;
  std::vector<OwnedArray> children;
  std::vector<ArrowArray*> child_pointers;
};

// A consumer may have moved a child out (its release is then null); OwnedArray frees the others.
void ReleaseExported(ArrowArray* array) {
  delete static_cast<Exported*>(array->private_data);
  array->release = nullptr;
}

}  // namespace

OwnedArray ExportArray(int64_t length, int64_t null_count, std::vector<Buffer> buffers,
                       std::vector<OwnedArray> children) {
  auto exported = std::make_unique<Exported>();
  exported->buffers = std::move(buffers);
  exported->children = std::move(children);
  for (const Buffer& buffer : exported->buffers) exported->pointers.push_back(buffer.data());
  for (OwnedArray& child : exported->children) exported->child_pointers.push_back(child.get());
  OwnedArray array;
  *array.get() = ArrowArray{.length = length,
                            .null_count = null_count,
                            .offset = 0,
                            .n_buffers = static_cast<int64_t>(exported->pointers.size()),
                            .n_children = static_cast<int64_t>(exported->child_pointers.size()),
                            .buffers = exported->pointers.data(),
                            .children = exported->child_pointers.data(),
                            .dictionary = nullptr,
                            .release = &ReleaseExported,
                            .private_data = nullptr};
  array->private_data = exported.release();
  return array;
}

}  // namespace leman::python::scalar
