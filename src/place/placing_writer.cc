#include "place/placing_writer.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "assemble/byte_source.h"

namespace leman {
namespace {

constexpr size_t kSampleBytes = 32 << 10;
constexpr int kMostRefusals = 2;

/// Values of one batch as a judge of plainness sees them.
struct BatchWeight {
  int64_t bytes = 0;
  bool plain = false;
};

BatchWeight Weigh(const PlainType& type, LanceVersion version, const PlacingOptions& options,
                  const ArrowArray& values) {
  BatchWeight weight;
  const int64_t nulls = CountNulls(type, values);
  if (!type.variable()) return {values.length * type.value_bytes(), nulls == 0};
  int64_t sampled = 0;
  for (int64_t row = 0; row < values.length; ++row) {
    if (IsNullAt(values, row)) continue;
    const std::string_view value = ValueAt(type, values, row);
    weight.bytes += static_cast<int64_t>(value.size());
    // The first and one in the middle speak for the others; version 2.0 never compresses them.
    if (options.all_plain || version == LanceVersion::k2_0 || sampled > 1 || (sampled == 1 && row < values.length / 2))
      continue;
    ++sampled;
    const size_t begin = value.size() > kSampleBytes ? (value.size() - kSampleBytes) / 2 : 0;
    if (LooksCompressible(value.substr(begin, kSampleBytes))) return weight;
  }
  const int64_t valued = values.length - nulls;
  weight.plain = options.all_plain || (valued > 0 && weight.bytes / valued >= options.large_value_bytes);
  return weight;
}

class PlacingFile final : public ColumnFile {
 public:
  PlacingFile(PageStorage& storage, std::string path, std::string pages_path, const PlainType& type,
              const LanceFile& model, const PlacingOptions& options, int& refusals)
      : storage_(storage),
        path_(std::move(path)),
        pages_path_(std::move(pages_path)),
        type_(type),
        model_(model),
        options_(options),
        refusals_(refusals) {
    column_.encoding = model.columns.front().encoding;
  }

  bool Takes(const ArrowArray& values) override {
    if (values.length == 0 || Weigh(type_, model_.version, options_, values).plain) return true;
    ++refusals_;
    return false;
  }

  Status Write(OwnedArray values) override {
    if (values->length == 0) return Ok();
    const int64_t bytes = Weigh(type_, model_.version, options_, *values.get()).bytes;
    held_bytes_ += bytes;
    if (held_bytes_ >= options_.page_bytes) return WritePage(values.get());
    // Few bytes: their own copy, since whoever made the array may write over it after this call.
    held_.push_back(PlainCopy::Of(type_, *values.get()));
    return Ok();
  }

  Result<ClosedFile> Close(const std::map<std::string, std::string>& metadata) override {
    const int64_t place_from = type_.variable() ? options_.place_large_values_from_bytes : options_.place_from_bytes;
    if (!sink_ && held_bytes_ < place_from) {
      LEMAN_ASSIGN_OR_RETURN(sink_, storage_.New(path_));
    }
    if (!held_.empty()) LEMAN_RETURN_IF_ERROR(WritePage(nullptr));
    SchemaDescriptor descriptor = model_.descriptor;
    descriptor.rows = static_cast<uint64_t>(rows_);
    for (const auto& [key, value] : metadata) descriptor.metadata.emplace_back(key, value);
    // The tail's length does not depend on where it lies: positions in it are of fixed size.
    const auto size = static_cast<int64_t>(EncodeLanceTail(model_.version, 0, descriptor, {column_}).size());
    LEMAN_ASSIGN_OR_RETURN(const int64_t position, sink_->Reserve(size));
    const std::string tail = EncodeLanceTail(model_.version, static_cast<uint64_t>(position), descriptor, {column_});
    return sink_->Finish(position, tail, crc_);
  }

 private:
  /// Of everything held, and of `last` if there is one.
  Status WritePage(const ArrowArray* last) {
    std::vector<const ArrowArray*> arrays;
    for (const PlainCopy& copy : held_) arrays.push_back(copy.array());
    if (last != nullptr) arrays.push_back(last);
    const PlainPage page = MakePlainPage(type_, model_.version, arrays);
    if (!sink_) LEMAN_RETURN_IF_ERROR(OpenSink());
    LEMAN_ASSIGN_OR_RETURN(const int64_t position, sink_->Reserve(page.size_bytes));
    LEMAN_RETURN_IF_ERROR(sink_->Write(position, page.bytes));
    ColumnPage& described = column_.pages.emplace_back();
    described.length = static_cast<uint64_t>(page.rows);
    described.priority = static_cast<uint64_t>(rows_);
    described.encoding = page.encoding;
    for (const BufferRange& buffer : page.buffers) {
      described.buffers.push_back({buffer.offset + static_cast<uint64_t>(position), buffer.size});
    }
    crc_ = page.ChecksumAfter(crc_);
    rows_ += page.rows;
    held_.clear();
    held_bytes_ = 0;
    return Ok();
  }

  Status OpenSink() {
    Result<std::unique_ptr<PageSink>> placed = storage_.Into(pages_path_);
    if (placed.ok()) {
      sink_ = std::move(placed).value();
      return Ok();
    }
    if (placed.error().kind != ErrorKind::kUnsupported) return placed.error();
    LEMAN_ASSIGN_OR_RETURN(sink_, storage_.New(path_));
    return Ok();
  }

  PageStorage& storage_;
  std::string path_;
  std::string pages_path_;
  PlainType type_;
  const LanceFile& model_;
  const PlacingOptions& options_;
  int& refusals_;
  std::vector<PlainCopy> held_;
  int64_t held_bytes_ = 0;
  std::unique_ptr<PageSink> sink_;
  ColumnMetadata column_;
  int64_t rows_ = 0;
  uint32_t crc_ = 0;
};

/// Decides by the first values which writer makes the file.
class UndecidedFile final : public ColumnFile {
 public:
  using Maker = std::function<Result<std::unique_ptr<ColumnFile>>(bool plain)>;
  UndecidedFile(Maker make, std::function<bool(const ArrowArray&)> is_plain)
      : make_(std::move(make)), is_plain_(std::move(is_plain)) {}

  bool Takes(const ArrowArray& values) override { return file_ == nullptr || file_->Takes(values); }
  Status Write(OwnedArray values) override {
    if (file_ == nullptr) {
      LEMAN_ASSIGN_OR_RETURN(file_, make_(is_plain_(*values.get())));
    }
    return file_->Write(std::move(values));
  }
  Result<ClosedFile> Close(const std::map<std::string, std::string>& metadata) override {
    if (file_ == nullptr) {
      LEMAN_ASSIGN_OR_RETURN(file_, make_(false));
    }
    return file_->Close(metadata);
  }

 private:
  Maker make_;
  std::function<bool(const ArrowArray&)> is_plain_;
  std::unique_ptr<ColumnFile> file_;
};

/// Whether nothing about the column asks for more than plain pages.
bool IsPlainColumn(const LanceFile& file) {
  if (file.columns.size() != 1 || file.descriptor.fields.size() != 1 || file.global_buffers.size() != 1) return false;
  if (!file.columns.front().pages.empty() || !file.columns.front().buffers.empty()) return false;
  const auto& metadata = file.descriptor.fields.front().metadata;
  return std::none_of(metadata.begin(), metadata.end(), [](const auto& entry) {
    return entry.first.starts_with("lance") || entry.first == "ARROW:extension:name";
  });
}

}  // namespace

PlacingWriter::PlacingWriter(std::unique_ptr<ColumnWriter> other, const ArrowSchema& type,
                             const PlacingOptions& options, std::unique_ptr<PageStorage> storage)
    : other_(std::move(other)), options_(options), storage_(std::move(storage)), type_(PlainTypeOf(type)) {}

const LanceFile* PlacingWriter::Template(const std::string& path) {
  if (!std::exchange(has_template_, true)) {
    const auto empty = other_->Create(path, "");
    if (!empty.ok() || !(*empty)->Close({}).ok()) return nullptr;
    if (const auto source = storage_->Open(path); source.ok()) {
      Result<LanceFile> file = ReadLanceFile(**source);
      if (file.ok() && IsPlainColumn(*file)) template_ = std::move(file).value();
    }
    storage_->Remove(path);
  }
  return template_ ? &*template_ : nullptr;
}

Result<std::unique_ptr<ColumnFile>> PlacingWriter::Create(const std::string& path, const std::string& pages_path) {
  if (!type_ || pages_path.empty() || refusals_ >= kMostRefusals) return other_->Create(path, pages_path);
  const auto is_plain = [this, path](const ArrowArray& values) {
    // The template costs a file: what is not plain in any version does without.
    if (!Weigh(*type_, LanceVersion::k2_0, options_, values).plain) return false;
    const LanceFile* model = Template(path);
    return model != nullptr && Weigh(*type_, model->version, options_, values).plain;
  };
  const auto make = [this, path, pages_path](bool plain) -> Result<std::unique_ptr<ColumnFile>> {
    if (!plain) return other_->Create(path, pages_path);
    return std::unique_ptr<ColumnFile>(
        std::make_unique<PlacingFile>(*storage_, path, pages_path, *type_, *template_, options_, refusals_));
  };
  return std::unique_ptr<ColumnFile>(std::make_unique<UndecidedFile>(make, is_plain));
}

void PlacingWriter::TellDataFile(const std::string& pages_path, const std::string& data_file) {
  storage_->TellDataFile(pages_path, data_file);
}

void PlacingWriter::UseQueue(WriteQueue& queue) {
  other_->UseQueue(queue);
  storage_->UseQueue(queue);
}

Result<ClosedFile> PlacingWriter::Place(const std::string& path, const std::string& pages_path, ClosedFile closed) {
  if (pages_path.empty() || closed.size_bytes < options_.place_from_bytes) return closed;
  Result<PlacedRegion> region = storage_->PlaceStaged(path, pages_path);
  // Whatever the reason: the file is complete, and assembly copies it.
  if (!region.ok()) return closed;
  return ClosedFile{region->size_bytes, std::move(region).value()};
}

}  // namespace leman
