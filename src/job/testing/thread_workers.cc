#include "job/testing/thread_workers.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace leman::testing {
namespace {

// Ports that hand on to what the whole test shares.

class SharedReader final : public BatchReader {
 public:
  explicit SharedReader(MemoryTable& table) : table_(table) {}
  Result<BatchStream> Open(const ReadRequest& request) override { return table_.Open(request); }

 private:
  MemoryTable& table_;
};

class SharedWriter final : public ColumnWriter {
 public:
  explicit SharedWriter(MemoryTable& table) : table_(table) {}
  Result<std::unique_ptr<ColumnFile>> Create(const std::string& path, const std::string& pages_path) override {
    return table_.Create(path, pages_path);
  }

 private:
  MemoryTable& table_;
};

class WorkerStore final : public ObjectStore {
 public:
  WorkerStore(ThreadWorkers& pool, ThreadWorker& worker) : pool_(pool), worker_(worker) {}

  Result<std::string> Get(const std::string& key) override { return pool_.files().Get(key); }
  Result<std::string> GetRange(const std::string& key, int64_t offset, int64_t size_bytes) override {
    return pool_.files().GetRange(key, offset, size_bytes);
  }
  Status Put(const std::string& key, std::string_view bytes) override { return pool_.files().Put(key, bytes); }
  Status PutIfAbsent(const std::string& key, std::string_view bytes) override {
    return pool_.files().PutIfAbsent(key, bytes);
  }
  Result<std::vector<ObjectMeta>> List(const std::string& folder) override { return pool_.files().List(folder); }
  Status Copy(const std::string& from, const std::string& to) override { return pool_.files().Copy(from, to); }
  Status Rename(const std::string& from, const std::string& to) override {
    if (pool_.on_store) pool_.on_store(worker_, "Rename", to, false);
    if (worker_.dead()) return MakeError(ErrorKind::kCancelled, "the worker is dead");
    LEMAN_RETURN_IF_ERROR(pool_.files().Rename(from, to));
    if (pool_.on_store) pool_.on_store(worker_, "Rename", to, true);
    return Ok();
  }
  Status Delete(const std::string& key) override { return pool_.files().Delete(key); }
  Result<bool> Exists(const std::string& key) override { return pool_.files().Exists(key); }

 private:
  ThreadWorkers& pool_;
  ThreadWorker& worker_;
};

class AddThousand final : public Udf {
 public:
  AddThousand(ThreadWorkers& pool, ThreadWorker& worker) : pool_(pool), worker_(worker) {}

  Result<OwnedArray> Apply(OwnedArray inputs, const RowMask* selected, int64_t* failed_row) override {
    const Int64s x = ReadInt64Array(*inputs->children[0]);
    const bool any = selected == nullptr || std::count(selected->begin(), selected->end(), 1) > 0;
    if (any && pool_.on_call) LEMAN_RETURN_IF_ERROR(pool_.on_call(worker_, x, failed_row));
    if (worker_.dead()) return MakeError(ErrorKind::kCancelled, "the worker is dead");
    Int64s y;
    for (size_t i = 0; i < x.size(); ++i) {
      const bool wanted = selected == nullptr || (*selected)[i] != 0;
      y.push_back(wanted && x[i] ? std::optional<int64_t>(*x[i] + 1000) : std::nullopt);
      if (wanted && x[i]) pool_.CountRow(*x[i]);
    }
    return MakeInt64Array(y);
  }

 private:
  ThreadWorkers& pool_;
  ThreadWorker& worker_;
};

class Int64Merger final : public ArrayMerger {
 public:
  Result<OwnedArray> Merge(const RowMask& selected, OwnedArray computed, OwnedArray carried) override {
    Int64s values = ReadInt64Array(*carried.get());
    const Int64s fresh = ReadInt64Array(*computed.get());
    for (size_t i = 0; i < values.size(); ++i) {
      if (selected[i] != 0) values[i] = fresh[i];
    }
    return MakeInt64Array(values);
  }
};

}  // namespace

void ThreadWorker::Die() {
  dead_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

Status ThreadWorker::SetUp(const SetupMessage&) { return pool_.on_setup ? pool_.on_setup(*this) : Ok(); }

Result<ThreadTools> ThreadWorker::MakeThreadTools() {
  if (pool_.on_thread) LEMAN_RETURN_IF_ERROR(pool_.on_thread(*this));
  ThreadTools tools;
  tools.reader = std::make_unique<SharedReader>(pool_.table());
  tools.udf = std::make_unique<AddThousand>(pool_, *this);
  tools.merger = std::make_unique<Int64Merger>();
  tools.writer = std::make_unique<SharedWriter>(pool_.table());
  tools.store = std::make_unique<WorkerStore>(pool_, *this);
  tools.output_type = MakeSchema("l", "y");
  return tools;
}

Result<int> ThreadWorkers::Start(WorkerId worker) {
  if (on_start) LEMAN_RETURN_IF_ERROR(on_start(worker));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return MakeError(ErrorKind::kResourceExhausted, "no socket for a worker");
  }
  ++started_;
  threads_.emplace_back([this, worker, fd = ends[1]] {
    if (life && life(worker, fd)) return;
    ThreadWorker host(*this, worker, fd);
    SystemClock clock;
    (void)ServeWorker(fd, host, clock);
  });
  return ends[0];
}

void ThreadWorkers::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadWorkers::CountRow(int64_t x) {
  const std::lock_guard lock(mutex_);
  ++times_[x];
}

int64_t ThreadWorkers::TimesComputed(int64_t x) {
  const std::lock_guard lock(mutex_);
  return times_[x];
}

int64_t ThreadWorkers::rows_computed() {
  const std::lock_guard lock(mutex_);
  int64_t sum = 0;
  for (const auto& [x, times] : times_) sum += times;
  return sum;
}

}  // namespace leman::testing
