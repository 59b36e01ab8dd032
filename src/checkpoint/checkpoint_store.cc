#include "checkpoint/checkpoint_store.h"

#include <algorithm>
#include <map>
#include <optional>

namespace leman {
namespace {
constexpr std::string_view kTemporaryPrefix = "tmp-";
}  // namespace

Result<std::vector<StoredCheckpoint>> CheckpointStore::List() {
  LEMAN_ASSIGN_OR_RETURN(const std::vector<ObjectMeta> objects, store_.List(folder_));
  std::vector<StoredCheckpoint> checkpoints;
  checkpoints.reserve(objects.size());
  std::map<std::string, int64_t> pages_sizes;
  for (const ObjectMeta& object : objects) {
    if (IsPagesFileName(object.name)) pages_sizes[object.name] = object.size_bytes;
  }
  for (const ObjectMeta& object : objects) {
    if (const auto placed = ParseRegionFileName(object.name)) {
      const auto pages = pages_sizes.find(PagesFileName(placed->range.fragment_id, placed->fragment_key));
      const PlacedRegion& region = placed->region;
      if (pages == pages_sizes.end() || region.end > pages->second) continue;
      checkpoints.push_back({placed->range, placed->fragment_key, object.name, region.size_bytes});
      continue;
    }
    if (const auto uploaded = ParsePartsFileName(object.name)) {
      checkpoints.push_back({uploaded->range, uploaded->fragment_key, object.name, uploaded->size_bytes});
      continue;
    }
    if (const auto name = ParseCheckpointFileName(object.name)) {
      checkpoints.push_back({name->range, name->fragment_key, object.name, object.size_bytes});
    }
  }
  return checkpoints;
}

std::string CheckpointStore::TemporaryKey(const std::string& writer, int64_t serial) const {
  return folder_ + "/" + std::string(kTemporaryPrefix) + writer + "-" + std::to_string(serial);
}

Result<std::string> CheckpointStore::Publish(const std::string& temporary_key, const RowRange& range,
                                             const std::string& fragment_key, int64_t size_bytes) {
  LEMAN_ASSIGN_OR_RETURN(const std::optional<uint32_t> crc, store_.Checksum(temporary_key, size_bytes));
  const std::string name = CheckpointFileName(range, fragment_key, crc);
  LEMAN_RETURN_IF_ERROR(store_.Rename(temporary_key, KeyOf(name)));
  return name;
}

Status CheckpointStore::Verify(const std::string& key, int64_t size_bytes) {
  const auto name = ParseCheckpointFileName(key.substr(key.rfind('/') + 1));
  if (!name || !name->crc) return Ok();
  LEMAN_ASSIGN_OR_RETURN(const std::optional<uint32_t> crc, store_.Checksum(key, size_bytes));
  if (!crc || *crc == *name->crc) return Ok();
  return MakeError(ErrorKind::kCorrupt, "checkpoint ", key, " is damaged: its checksum is not the one of its name");
}

Result<std::string> CheckpointStore::PublishRegion(const RegionName& name) {
  const std::string file_name = RegionFileName(name);
  LEMAN_RETURN_IF_ERROR(store_.Put(KeyOf(file_name), ""));
  return file_name;
}

Result<std::string> CheckpointStore::PublishParts(const PartsName& name, const std::string& record) {
  const std::string file_name = PartsFileName(name);
  LEMAN_RETURN_IF_ERROR(store_.PutIfAbsent(KeyOf(file_name), record));
  return file_name;
}

Status CheckpointStore::Remove(const std::vector<std::string>& file_names) {
  for (const std::string& name : file_names) LEMAN_RETURN_IF_ERROR(store_.Delete(KeyOf(name)));
  return Ok();
}

Result<int64_t> CheckpointStore::RemoveTemporaries(const std::string& writers) {
  LEMAN_ASSIGN_OR_RETURN(const std::vector<ObjectMeta> objects, store_.List(folder_));
  int64_t removed = 0;
  for (const ObjectMeta& object : objects) {
    if (!object.name.starts_with(std::string(kTemporaryPrefix) + writers)) continue;
    LEMAN_RETURN_IF_ERROR(store_.Delete(KeyOf(object.name)));
    ++removed;
  }
  return removed;
}

}  // namespace leman
