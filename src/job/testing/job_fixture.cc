#include "job/testing/job_fixture.h"

#include <unistd.h>

#include <algorithm>

#include "checkpoint/checkpoint_store.h"

namespace leman::testing {

Result<AssembledFragment> ConcatenatingAssembler::Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts,
                                                           int64_t physical_rows, const std::string& file_name) {
  if (before) LEMAN_RETURN_IF_ERROR(before(fragment_id));
  std::string text;
  int64_t at = 0;
  for (const FragmentPart& part : parts) {
    if (part.range.start != at) return MakeError(ErrorKind::kInternal, "a gap or overlap at row ", at);
    LEMAN_ASSIGN_OR_RETURN(const std::string more, files_.Get(part.key));
    if (std::count(more.begin(), more.end(), '\n') != part.range.rows()) {
      return MakeError(ErrorKind::kCorrupt, part.key, " has another number of rows");
    }
    text += more;
    at = part.range.end;
  }
  if (at != physical_rows) return MakeError(ErrorKind::kInternal, at, " of ", physical_rows, " rows");
  LEMAN_RETURN_IF_ERROR(files_.Put("data/" + file_name, text));
  AssembledFragment assembled;
  assembled.update.fragment_id = fragment_id;
  assembled.update.rows = physical_rows;
  assembled.update.file_name = file_name;
  assembled.update.size_bytes = assembled.bytes.copied = static_cast<int64_t>(text.size());
  return assembled;
}

JobFixture::JobFixture() {
  for (int64_t id = 0; id < 4; ++id) table_.AddFragment(id, Sequence(100 * id, 40));
  spec_.job_id = "job-1";
  spec_.table_name = "t";
  spec_.table_root = "memory";
  spec_.column = "y";
  spec_.udf_name = "add_thousand";
  spec_.udf_version = "v1";
  spec_.output_type = "int64";
  spec_.input_columns = 1;
  spec_.concurrency = 2;
  spec_.batch_size = 10;
  spec_.batch_size_fixed = true;
  spec_.checkpoint_rows = 10;
  spec_.task_rows = 20;
}

Int64s JobFixture::Sequence(int64_t first, int64_t count) {
  Int64s values;
  for (int64_t i = 0; i < count; ++i) values.push_back(first + i);
  return values;
}

JobResult JobFixture::Run() {
  spec_.read_version = table_.version();
  JobResult result = RunBackfill(spec_, {table_, table_, driver_files_, *pool_, assembler_, host_, clock_});
  workers_.Join();  // their hooks use what the test holds
  return result;
}

JobResult JobFixture::RunToTheEnd() {
  JobResult result = Run();
  EXPECT_EQ(result.status, JobStatus::kDone) << (result.error ? result.error->message : "");
  return result;
}

void JobFixture::ExpectAllComputed(int64_t fragments) {
  for (int64_t id = 0; id < fragments; ++id) {
    Int64s expected = Sequence(100 * id, 40);
    for (auto& value : expected) *value += 1000;
    EXPECT_EQ(table_.Output(id), expected) << "fragment " << id;
  }
}

std::vector<int64_t> JobFixture::CheckpointedX() {
  std::vector<int64_t> all;
  const auto stored = CheckpointStore(files_, CheckpointFolder(spec_)).List();
  for (const StoredCheckpoint& checkpoint : *stored) {
    for (int64_t row = checkpoint.range.start; row < checkpoint.range.end; ++row) {
      all.push_back(100 * checkpoint.range.fragment_id + row);
    }
  }
  return all;
}

int64_t JobFixture::CheckpointedRows() { return static_cast<int64_t>(CheckpointedX().size()); }

nlohmann::json JobFixture::Record() {
  const auto text = files_.Get("_leman/jobs/" + spec_.job_id + ".json");
  return text.ok() ? nlohmann::json::parse(*text) : nlohmann::json();
}

int64_t JobFixture::FilesUnder(const std::string& folder) {
  return static_cast<int64_t>(files_.List(folder).value().size());
}

AssignMessage ScriptedWorker::TakeTask(WorkerId id) {
  HelloMessage hello{kProtocolVersion, ::getpid()};
  hello.worker = id;
  Send(hello);
  if (const auto setup = Await<SetupMessage>()) folder_ = setup->checkpoint_folder;
  Send(ReadyMessage{});
  return Await<AssignMessage>().value_or(AssignMessage{});
}

CheckpointDone ScriptedWorker::Checkpoint(const AssignMessage& assigned, const RowRange& range) {
  const std::string name = CheckpointFileName(range, assigned.fragment_keys.front());
  Int64s values;
  for (int64_t row = range.start; row < range.end; ++row) values.push_back(1000 + 100 * range.fragment_id + row);
  const std::string text = EncodeColumn(values);
  (void)files_.Put(folder_ + "/" + name, text);
  CheckpointDone done{assigned.task.id, assigned.task.attempt, range, name, range.rows(), int64_t(text.size())};
  Send(done);
  return done;
}

}  // namespace leman::testing
