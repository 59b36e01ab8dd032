#include "assemble/uploaded_pages.h"

#include <algorithm>
#include <map>
#include <utility>

namespace leman {
namespace {

class TailSource final : public ByteSource {
 public:
  explicit TailSource(const PartsRecord& record) : begin_(record.parts_bytes()), tail_(record.tail) {}
  [[nodiscard]] int64_t size_bytes() const override { return begin_ + static_cast<int64_t>(tail_.size()); }
  Result<std::string> Read(int64_t offset, int64_t length) override {
    if (offset < 0 || length < 0 || length > size_bytes() || offset > size_bytes() - length) {
      return MakeError(ErrorKind::kCorrupt, "no ", length, " bytes at ", offset);
    }
    // A reader of the tail may begin to read before it.
    const int64_t before = std::clamp<int64_t>(begin_ - offset, 0, length);
    std::string bytes(static_cast<size_t>(before), '\0');
    const auto first = static_cast<size_t>(offset + before - begin_);
    if (before < length) bytes += tail_.substr(first, static_cast<size_t>(length - before));
    return bytes;
  }

 private:
  int64_t begin_;
  std::string tail_;
};

}  // namespace

bool IsPartsRecord(const std::string& path) { return ParsePartsFileName(path.substr(path.rfind('/') + 1)).has_value(); }

std::unique_ptr<ByteSource> OpenPartsRecord(const PartsRecord& record) { return std::make_unique<TailSource>(record); }

Result<UploadedPages> UploadedPages::Of(const std::vector<std::string>& paths,
                                        const std::vector<std::optional<PartsRecord>>& records,
                                        const std::string& data_file) {
  UploadedPages pages;
  std::map<int64_t, std::pair<size_t, size_t>> by_number;  // Checkpoint and part.
  pages.places_.resize(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    if (!records[i]) continue;
    if (pages.paths_.empty()) pages.upload_id_ = records[i]->upload_id;
    pages.paths_.push_back(paths[i]);
    if (records[i]->data_file != data_file || records[i]->upload_id != pages.upload_id_) {
      return MakeError(ErrorKind::kCorrupt, paths[i], " is of the upload of another data file");
    }
    int64_t begin = 0;
    for (size_t k = 0; k < records[i]->parts.size(); ++k) {
      const UploadedPart& part = records[i]->parts[k];
      if (!by_number.emplace(part.number, std::pair(i, k)).second) {
        return MakeError(ErrorKind::kCorrupt, paths[i], " has part ", part.number, " of another one");
      }
      pages.places_[i].push_back({begin, begin + part.size_bytes, 0});
      begin += part.size_bytes;
    }
  }
  for (const auto& [number, at] : by_number) {
    pages.places_[at.first][at.second].position = pages.size_bytes_;
    pages.parts_.push_back(records[at.first]->parts[at.second]);
    pages.owners_.push_back(paths[at.first]);
    pages.size_bytes_ += pages.parts_.back().size_bytes;
  }
  return pages;
}

Status UploadedPages::Check(const std::vector<UploadedPart>& stored) const {
  std::map<int64_t, const UploadedPart*> by_number;
  for (const UploadedPart& part : stored) by_number[part.number] = &part;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const auto found = by_number.find(parts_[i].number);
    if (found != by_number.end() && *found->second == parts_[i]) continue;
    return MakeError(ErrorKind::kCorrupt, owners_[i], ": the store does not have part ", parts_[i].number,
                     " as it was uploaded");
  }
  return Ok();
}

Result<LanceFile> UploadedPages::Moved(size_t index, LanceFile file) const {
  const std::vector<Place>& places = places_[index];
  for (ColumnMetadata& column : file.columns) {
    for (ColumnPage& page : column.pages) {
      for (BufferRange& buffer : page.buffers) {
        const auto offset = static_cast<int64_t>(buffer.offset);
        const auto holds = [&](const Place& p) { return offset < p.end || (buffer.size == 0 && offset == p.end); };
        const auto place = std::find_if(places.begin(), places.end(), holds);
        if (place == places.end() || static_cast<int64_t>(buffer.size) > place->end - offset) {
          return MakeError(ErrorKind::kCorrupt, "a page buffer at ", offset, " is not inside one part");
        }
        buffer.offset = static_cast<uint64_t>(place->position + (offset - place->begin));
      }
    }
  }
  return file;
}

Error UploadedPages::Lost(const std::string& why) const {
  std::string names;
  for (const std::string& path : paths_) names += (names.empty() ? "" : ", ") + path;
  return MakeError(ErrorKind::kCorrupt, why, ", so these checkpoints are lost: ", names);
}

}  // namespace leman
