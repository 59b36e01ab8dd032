#include "table/testing/memory_table.h"

#include <algorithm>
#include <sstream>

namespace leman::testing {
namespace {

class MemoryFile final : public ColumnFile {
 public:
  MemoryFile(ObjectStore& files, std::string path) : files_(files), path_(std::move(path)) {}

  Status Write(OwnedArray values) override {
    const Int64s more = ReadInt64Array(*values.get());
    values_.insert(values_.end(), more.begin(), more.end());
    return Ok();
  }
  Result<ClosedFile> Close(const std::map<std::string, std::string>&) override {
    const std::string text = EncodeColumn(values_);
    LEMAN_RETURN_IF_ERROR(files_.Put(path_, text));
    return ClosedFile{static_cast<int64_t>(text.size())};
  }

 private:
  ObjectStore& files_;
  std::string path_;
  Int64s values_;
};

}  // namespace

std::string EncodeColumn(const Int64s& values) {
  std::ostringstream text;
  for (const auto& value : values) {
    if (value) {
      text << *value << '\n';
    } else {
      text << "null\n";
    }
  }
  return text.str();
}

Int64s DecodeColumn(const std::string& text) {
  Int64s values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    values.push_back(line == "null" ? std::nullopt : std::optional<int64_t>(std::stoll(line)));
  }
  return values;
}

void MemoryTable::AddFragment(int64_t id, const Int64s& x) {
  const std::lock_guard lock(mutex_);
  fragments_[id] = Fragment{x, "in" + std::to_string(files_made_++) + ".lance", "", {}};
  ++version_;
}

void MemoryTable::DeleteRow(int64_t fragment, int64_t row) {
  const std::lock_guard lock(mutex_);
  fragments_[fragment].deleted.insert(row);
  ++version_;
}

void MemoryTable::RewriteInput(int64_t fragment, const Int64s& x) {
  const std::lock_guard lock(mutex_);
  fragments_[fragment].x = x;
  fragments_[fragment].input_file = "in" + std::to_string(files_made_++) + ".lance";
  ++version_;
}

Int64s MemoryTable::OutputOf(const Fragment& fragment) {
  if (fragment.output_file.empty()) return Int64s(fragment.x.size());
  return DecodeColumn(*files_.Get("data/" + fragment.output_file));
}

Int64s MemoryTable::Output(int64_t fragment) {
  const std::lock_guard lock(mutex_);
  return OutputOf(fragments_[fragment]);
}

int64_t MemoryTable::version() {
  const std::lock_guard lock(mutex_);
  return version_;
}

void MemoryTable::FailNextCommit(ErrorKind kind, bool happened) {
  const std::lock_guard lock(mutex_);
  next_failure_ = {kind, happened};
}

FragmentInfo MemoryTable::InfoOf(int64_t id, const Fragment& fragment) const {
  return {id,
          static_cast<int64_t>(fragment.x.size()),
          static_cast<int64_t>(fragment.deleted.size()),
          fragment.input_file,
          fragment.input_file,
          fragment.output_file};
}

Result<std::vector<FragmentInfo>> MemoryTable::Fragments() {
  const std::lock_guard lock(mutex_);
  std::vector<FragmentInfo> infos;
  for (const auto& [id, fragment] : fragments_) infos.push_back(InfoOf(id, fragment));
  return infos;
}

bool MemoryTable::Selected(const std::string& filter, const Fragment& fragment, const Int64s& y, int64_t row) const {
  const auto at = static_cast<size_t>(row);
  if (filter.empty()) return true;
  if (filter == "x is odd") return fragment.x[at].has_value() && *fragment.x[at] % 2 != 0;
  return !y[at].has_value();
}

Result<std::map<int64_t, int64_t>> MemoryTable::CountSelected(const std::string& filter,
                                                              const std::vector<int64_t>& fragment_ids) {
  const std::lock_guard lock(mutex_);
  std::map<int64_t, int64_t> counts;
  for (const int64_t id : fragment_ids) {
    const Fragment& fragment = fragments_[id];
    const Int64s y = OutputOf(fragment);
    for (int64_t row = 0; row < static_cast<int64_t>(fragment.x.size()); ++row) {
      if (!fragment.deleted.contains(row) && Selected(filter, fragment, y, row)) ++counts[id];
    }
  }
  return counts;
}

Result<BatchStream> MemoryTable::Open(const ReadRequest& request) {
  const std::lock_guard lock(mutex_);
  std::vector<OwnedArray> batches;
  for (const RowRange& piece : request.pieces) {
    const Fragment& fragment = fragments_[piece.fragment_id];
    const Int64s y = OutputOf(fragment);
    for (int64_t start = piece.start; start < piece.end; start += request.batch_rows) {
      const int64_t end = std::min(piece.end, start + request.batch_rows);
      const auto slice = [&](const Int64s& all) { return Int64s(all.begin() + start, all.begin() + end); };
      std::vector<OwnedArray> columns;
      columns.push_back(MakeInt64Array(slice(fragment.x)));
      if (!request.filter.empty()) {
        columns.push_back(MakeInt64Array(slice(y)));
        std::vector<bool> selected;
        for (int64_t row = start; row < end; ++row) selected.push_back(Selected(request.filter, fragment, y, row));
        columns.push_back(MakeBoolArray(selected));
      }
      if (request.with_deleted_rows) {
        Int64s live;
        for (int64_t row = start; row < end; ++row) {
          live.push_back(fragment.deleted.contains(row) ? std::nullopt : std::optional<int64_t>(row));
        }
        columns.push_back(MakeInt64Array(live));
      }
      batches.push_back(MakeStructArray(std::move(columns), end - start));
    }
  }
  std::vector<OwnedSchema> fields;
  fields.push_back(MakeSchema("l", "x"));
  if (!request.filter.empty()) {
    fields.push_back(MakeSchema("l", "y"));
    fields.push_back(MakeSchema("b", "selected"));
  }
  if (request.with_deleted_rows) fields.push_back(MakeSchema("l", "live"));
  return BatchStream{MakeStructSchema(std::move(fields)), MakeStream({}, std::move(batches))};
}

Result<std::unique_ptr<ColumnFile>> MemoryTable::Create(const std::string& path, const std::string&) {
  constexpr std::string_view kRoot = "memory/";
  const std::string key = path.starts_with(kRoot) ? path.substr(kRoot.size()) : path;
  return std::unique_ptr<ColumnFile>(std::make_unique<MemoryFile>(files_, key));
}

Result<int64_t> MemoryTable::LatestVersion() { return version(); }

Result<std::vector<FragmentInfo>> MemoryTable::Inspect(int64_t, const std::vector<int64_t>& fragment_ids) {
  const std::lock_guard lock(mutex_);
  std::vector<FragmentInfo> infos;
  for (const int64_t id : fragment_ids) {
    const auto found = fragments_.find(id);
    if (found != fragments_.end()) infos.push_back(InfoOf(id, found->second));
  }
  return infos;
}

Result<int64_t> MemoryTable::Commit(int64_t read_version, const std::vector<FragmentUpdate>& updates,
                                    const CommitMark& mark) {
  const std::lock_guard lock(mutex_);
  const auto failure = std::exchange(next_failure_, std::nullopt);
  if (failure && !failure->second) return MakeError(failure->first, "injected");
  if (read_version > version_) return MakeError(ErrorKind::kInternal, "version ", read_version, " does not exist");
  for (const FragmentUpdate& update : updates) {
    Fragment& fragment = fragments_.at(update.fragment_id);
    if (update.rows != static_cast<int64_t>(fragment.x.size())) {
      return MakeError(ErrorKind::kInternal, "fragment ", update.fragment_id, " has another number of rows");
    }
    fragment.output_file = update.file_name;
  }
  marks_[++version_] = mark;
  if (failure) return MakeError(failure->first, "injected");
  return version_;
}

Result<std::optional<int64_t>> MemoryTable::FindMark(int64_t since_version, const CommitMark& mark) {
  const std::lock_guard lock(mutex_);
  for (const auto& [version, made] : marks_) {
    if (version > since_version && made.job_id == mark.job_id && made.sequence == mark.sequence) {
      return std::optional<int64_t>(version);
    }
  }
  return std::optional<int64_t>();
}

Status MemoryTable::MarkDone(const std::string& udf_version) {
  const std::lock_guard lock(mutex_);
  if (failing_marks_ > 0) {
    --failing_marks_;
    return MakeError(mark_failure_, "injected");
  }
  done_version_ = udf_version;
  return Ok();
}

void MemoryTable::FailMarks(ErrorKind kind, int64_t count) {
  const std::lock_guard lock(mutex_);
  mark_failure_ = kind;
  failing_marks_ = count;
}

std::string MemoryTable::done_version() {
  const std::lock_guard lock(mutex_);
  return done_version_;
}

}  // namespace leman::testing
