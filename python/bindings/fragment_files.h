// Assemblers of data files: of the local file system alone, and with object stores.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "assemble/object_fragment.h"
#include "job/job_ports.h"
#include "remote_store.h"

namespace leman::python {

class LocalAssembler final : public Assembler {
 public:
  /// `host` re-encodes where pages cannot be taken as they are.
  LocalAssembler(nanobind::object host, std::string table_root, std::string checkpoint_root)
      : host_(std::move(host)), table_root_(std::move(table_root)), checkpoint_root_(std::move(checkpoint_root)) {}

  Result<AssembledFragment> Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts, int64_t physical_rows,
                                     const std::string& file_name) override;
  Result<int64_t> TakeRows(const FragmentPart& part, const std::string& to_key) override;

  [[nodiscard]] int64_t bytes_in_hand() const override { return bytes_in_hand_; }
  void Cancel() override { cancelled_ = true; }

 private:
  nanobind::object host_;
  std::string table_root_;
  std::string checkpoint_root_;
  std::atomic<int64_t> bytes_in_hand_ = 0;
  std::atomic<bool> cancelled_ = false;
};

/// Assembler where the table or its checkpoints lie in an object store.
class RemoteAssembler final : public Assembler {
 public:
  /// `uploads` make the data files; `store` has the checkpoints, too, and outlives this. Needs the GIL.
  RemoteAssembler(nanobind::object host, std::unique_ptr<PartUploads> uploads, ObjectStore& store, bool takes_uploads)
      : host_(std::move(host)), uploads_(std::move(uploads)), store_(store), takes_uploads_(takes_uploads) {}

  Result<AssembledFragment> Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts, int64_t physical_rows,
                                     const std::string& file_name) override;
  [[nodiscard]] bool takes_uploads() const override { return takes_uploads_; }
  Result<int64_t> TakeRows(const FragmentPart& part, const std::string& to_key) override;
  Status DropUpload(const std::string& announcement_key) override {
    return leman::DropUpload(announcement_key, store_, *uploads_);
  }
  [[nodiscard]] int64_t bytes_in_hand() const override { return bytes_in_hand_; }
  void Cancel() override { cancelled_ = true; }

 private:
  nanobind::object host_;
  std::unique_ptr<PartUploads> uploads_;
  /// Aborts an upload that was announced for the fragment of `part` and is not needed.
  void DropUnused(const FragmentPart& part);

  ObjectStore& store_;
  bool takes_uploads_;
  std::atomic<int64_t> bytes_in_hand_ = 0;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace leman::python
