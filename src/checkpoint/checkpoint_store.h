// Where the checkpoints of one computation lie, and how one becomes visible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/object_store.h"
#include "model/checkpoint_key.h"
#include "model/placed_region.h"
#include "model/upload_parts.h"

namespace leman {

/// A file of its own, a region of the pages file of its fragment, or parts of its upload: its name says which.
struct StoredCheckpoint {
  RowRange range;
  std::string fragment_key;
  std::string file_name;
  int64_t size_bytes = 0;
  /// Not empty: it was made for a fragment that has been rewritten since, and `range` holds these rows of the file (of
  /// the fragment that it was made for), in this order.
  std::vector<RowRange> taken = {};
};

/// Checkpoints of one computation (ComputationId), as files of one folder. A checkpoint is either absent or complete:
/// writers write under a temporary name and publish it by renaming. Publishing the same range twice is harmless: both
/// files are valid, one stays. States: docs/states/checkpoint.md.
class CheckpointStore {
 public:
  /// `store` outlives this; `folder` is the key of the computation's folder, e.g. "_leman/checkpoints/<id>".
  CheckpointStore(ObjectStore& store, std::string folder) : store_(store), folder_(std::move(folder)) {}

  /// All published checkpoints, in no order. Foreign files are passed over.
  Result<std::vector<StoredCheckpoint>> List();
  /// The key under which a writer makes a checkpoint before it is published; unique for `writer` and `serial`.
  [[nodiscard]] std::string TemporaryKey(const std::string& writer, int64_t serial) const;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string KeyOf(const std::string& file_name) const { return folder_ + "/" + file_name; }
  /// Makes the file of `size_bytes` under `temporary_key` the checkpoint of `range`; returns its file name.
  Result<std::string> Publish(const std::string& temporary_key, const RowRange& range, const std::string& fragment_key,
                              int64_t size_bytes);
  /// kCorrupt, naming the key, where a checkpoint's bytes are not those that were published. Reads all of them; knows
  /// nothing of regions.
  Status Verify(const std::string& key, int64_t size_bytes);
  /// Makes a region of the fragment's pages file the checkpoint of `name`; returns its file name.
  Result<std::string> PublishRegion(const RegionName& name);
  /// Makes uploaded parts the checkpoint of `name`; returns its file name.
  Result<std::string> PublishParts(const PartsName& name, const std::string& record);
  /// Removes checkpoints; those already gone do not matter.
  Status Remove(const std::vector<std::string>& file_names);
  /// Removes what the writers whose names begin with `writers` left unpublished; none of them runs any more.
  Result<int64_t> RemoveTemporaries(const std::string& writers);

 private:
  ObjectStore& store_;
  std::string folder_;
};

}  // namespace leman
