#include "sim/sim_driver.h"

#include <utility>

#include "model/checkpoint_key.h"
#include "plan/fragment_decision.h"

namespace leman::sim {
namespace {

bool Overlap(const RowRange& a, const RowRange& b) {
  return a.fragment_id == b.fragment_id && a.start < b.end && b.start < a.end;
}

std::string Text(const RowRange& range) {
  return "fragment " + std::to_string(range.fragment_id) + " rows " + std::to_string(range.start) + " to " +
         std::to_string(range.end);
}

// A driver's threads, as fibers.
class FiberWork final : public BackgroundWork {
 public:
  FiberWork(World& world, int threads) : world_(world), threads_(threads) {}
  FiberWork(const FiberWork&) = delete;
  FiberWork& operator=(const FiberWork&) = delete;
  ~FiberWork() override {
    while (running_ > 0) world_.loop.Sleep(kMs);
  }
  void Post(std::function<void()> closure) override {
    waiting_.push_back(std::move(closure));
    if (running_ == threads_) return;
    ++running_;
    world_.loop.Spawn([this] {
      while (!waiting_.empty()) {
        const auto next = std::move(waiting_.front());
        waiting_.pop_front();
        next();
      }
      --running_;
    });
  }

 private:
  World& world_;
  int threads_;
  int running_ = 0;
  std::deque<std::function<void()>> waiting_;
};

}  // namespace

void AcknowledgedRows::OnListing(const std::string& folder, bool stale) {
  known_.clear();
  arrived_.clear();
  holders_.clear();
  compacted_.clear();
  if (stale) return;
  std::vector<Known> found;
  const std::string prefix = folder + "/";
  for (auto it = world_.objects.lower_bound(prefix); it != world_.objects.end() && it->first.starts_with(prefix);
       ++it) {
    const auto name = ParseCheckpointFileName(it->first.substr(prefix.size()));
    if (name && !it->second.damaged) found.push_back({name->range, name->fragment_key});
  }
  // Where a zombie's checkpoint overlaps another one, only one of them can be used.
  for (const Known& one : found) {
    int overlaps = 0;
    for (const Known& other : found) {
      overlaps += other.fragment_key == one.fragment_key && Overlap(one.range, other.range) ? 1 : 0;
    }
    if (overlaps != 1) continue;
    known_.push_back(one);
    LearnCompacted(one);
  }
}

// Only where a plan can know all of it: some faults rightly cost calls.
void AcknowledgedRows::LearnCompacted(const Known& known) {
  const Faults& faults = world_.faults;
  const bool sure = faults.stale_list + faults.zombie + faults.damage + faults.clean + faults.store_error == 0;
  const int64_t id = known.range.fragment_id;
  if (!sure || spec_.where || table_.at(view_.version()).fragments.contains(id)) return;
  int64_t version = view_.version();
  while (version > 0 && !table_.at(version).fragments.contains(id)) --version;
  if (version == 0 || !table_.at(version + 1).rewrite || !table_.KeptOrder(version + 1)) return;
  const SimFragment& last = table_.at(version).fragments.at(id);
  const FragmentInfo info = table_.InfoOf(id, last);
  const bool recorded = info.output_file.empty() || ParseDoneFileName(info.output_file);
  if (!recorded || DecideFragment(spec_, info).need != FragmentDecision::Need::kAll) return;
  if (known.fragment_key != FragmentKey(info, Selection::kAll, "")) return;
  for (int64_t row = known.range.start; row < known.range.end; ++row) {
    const SimRow& at = last.rows.at(static_cast<size_t>(row));
    if (!at.deleted) compacted_[at.id] = {at.x, id};
  }
}

void AcknowledgedRows::CheckCompacted(const RowRange& piece) {
  const int64_t fragment = piece.fragment_id;
  int64_t made = view_.version();
  while (made > 0 && table_.at(made).fragments.contains(fragment)) --made;
  // Of one compaction, and not of two: the other one may have put rows in another order.
  const auto& rewrite = table_.at(made + 1).rewrite;
  if (!rewrite || std::none_of(rewrite->to.begin(), rewrite->to.end(),
                               [fragment](const FragmentInfo& to) { return to.id == fragment; })) {
    return;
  }
  std::set<int64_t> sources;
  for (const RewriteSource& source : rewrite->from) sources.insert(source.fragment.id);
  for (int64_t row = piece.start; row < piece.end; ++row) {
    const SimRow& at = table_.at(view_.version()).fragments.at(fragment).rows.at(static_cast<size_t>(row));
    const auto found = compacted_.find(at.id);
    if (at.deleted || found == compacted_.end() || found->second.first != at.x) continue;
    if (!sources.contains(found->second.second)) continue;
    world_.Violate(Text(piece) + " is handed out although a checkpoint of a compacted fragment holds row " +
                   std::to_string(row));
    return;
  }
}

void AcknowledgedRows::OnAssign(WorkerId worker, const AssignMessage& assign) {
  holders_[assign.task.id] = {worker, assign.task.attempt};
  for (size_t i = 0; i < assign.task.pieces.size(); ++i) {
    const RowRange& piece = assign.task.pieces[i];
    if (!compacted_.empty()) CheckCompacted(piece);
    for (const Known& known : known_) {
      if (known.fragment_key != assign.fragment_keys[i] || !Overlap(piece, known.range)) continue;
      world_.Violate(Text(piece) + " is handed out although a checkpoint holds " + Text(known.range));
    }
  }
}

void AcknowledgedRows::OnArrival(WorkerId worker, const CheckpointDone& done) {
  const auto holder = holders_.find(done.task);
  if (holder == holders_.end() || holder->second != std::pair(worker, done.attempt)) return;
  const auto name = ParseCheckpointFileName(done.path);
  if (name) arrived_.push_back({worker, {done.range, name->fragment_key}, 0});
}

void AcknowledgedRows::OnKill(WorkerId worker) {
  std::erase_if(arrived_, [worker](const Arrived& arrived) { return arrived.worker == worker; });
}

void AcknowledgedRows::OnTurn() {
  std::erase_if(arrived_, [this](Arrived& arrived) {
    if (++arrived.turns < 2) return false;
    known_.push_back(arrived.known);
    return true;
  });
}

void SimRuntime::Wait(std::vector<pollfd>& polled, int timeout_ms) {
  if (driver_.dead) return world_.loop.Sleep(kMs);
  for (const auto& [id, worker] : driver_.workers) worker->TakeFromDriver();
  driver_.acknowledged.OnTurn();
  // A turn of the loop takes time, so that a loop that never waits does not stop the world.
  world_.Sleep(driver_, kMs / 10);
  if (::poll(polled.data(), polled.size(), 0) > 0) return;
  driver_.waiting = true;
  world_.Sleep(driver_, timeout_ms * kMs);
  driver_.waiting = false;
  if (!driver_.dead) ::poll(polled.data(), polled.size(), 0);
}

std::unique_ptr<BackgroundWork> SimRuntime::StartThreads(int threads) {
  return std::make_unique<FiberWork>(world_, threads);
}

Result<AssembledFragment> SimAssembler::Assemble(int64_t fragment_id, const std::vector<FragmentPart>& parts,
                                                 int64_t physical_rows, const std::string& file_name) {
  Int64s values;
  std::vector<FragmentPart> in_order = parts;
  if (world_.options.sabotage == Sabotage::kSwapParts && parts.size() > 1) std::swap(in_order[0], in_order[1]);
  int64_t at = 0;
  for (const FragmentPart& part : in_order) {
    LEMAN_ASSIGN_OR_RETURN(const std::string bytes, store_.Get(part.key));
    const bool check = world_.options.sabotage != Sabotage::kIgnoreDamage;
    LEMAN_ASSIGN_OR_RETURN(const Int64s more, DecodeValues(part.key, bytes, check));
    if (static_cast<int64_t>(more.size()) != part.range.rows()) {
      return MakeError(ErrorKind::kCorrupt, part.key, " has another number of rows");
    }
    values.insert(values.end(), more.begin(), more.end());
  }
  for (const FragmentPart& part : parts) {
    if (part.range.start != at) return MakeError(ErrorKind::kInternal, "a gap or an overlap at row ", at);
    at = part.range.end;
  }
  if (at != physical_rows) return MakeError(ErrorKind::kInternal, at, " of ", physical_rows, " rows");
  const std::string bytes = EncodeValues(values);
  LEMAN_RETURN_IF_ERROR(store_.Put("data/" + file_name, bytes));
  AssembledFragment assembled;
  assembled.update.fragment_id = fragment_id;
  assembled.update.rows = physical_rows;
  assembled.update.file_name = file_name;
  assembled.update.size_bytes = static_cast<int64_t>(bytes.size());
  return assembled;
}

Result<int64_t> SimAssembler::TakeRows(const FragmentPart& part, const std::string& to_key) {
  LEMAN_ASSIGN_OR_RETURN(const std::string bytes, store_.Get(part.key));
  LEMAN_ASSIGN_OR_RETURN(const Int64s values, DecodeValues(part.key, bytes));
  const auto name = ParseCheckpointFileName(part.key.substr(part.key.rfind('/') + 1));
  Int64s taken;
  for (const RowRange& range : part.taken) {
    for (int64_t row = range.start; row < range.end; ++row) {
      taken.push_back(values.at(static_cast<size_t>(row - name->range.start)));
    }
  }
  const std::string made = EncodeValues(taken);
  LEMAN_RETURN_IF_ERROR(store_.Put(to_key, made));
  return static_cast<int64_t>(made.size());
}

Result<std::string> SimHost::WorkerPayload() { return std::to_string(driver_.view.version()); }

// The user's patience: a job that has made no progress for long is cancelled, and run again.
bool SimHost::OnProgress(const JobMetrics& metrics, const std::string&) {
  if (driver_.dead || driver_.cancelled_by_user) return false;
  constexpr int64_t kPatienceNs = 120 * kSecond;
  const int64_t rows = metrics.rows_computed + metrics.rows_committed + metrics.worker_deaths;
  if (std::exchange(rows_seen_, rows) != rows) seen_ns_ = world_.loop.now_ns();
  if (world_.loop.now_ns() - seen_ns_ > kPatienceNs) return false;
  return !world_.Fault(world_.faults.cancel, "the user cancels");
}

SimDriver::SimDriver(World& sim_world, SimTable& sim_table, BackfillSpec job)
    : world(sim_world),
      table(sim_table),
      spec(std::move(job)),
      clock(world, *this),
      store(world, *this),
      view(world, table, *this, spec.read_version),
      assembler(world, store),
      host(world, *this),
      pool(world, table, *this),
      runtime(world, *this),
      acknowledged(world, table, view, spec) {
  name = spec.job_id;
  is_driver = true;
  on_death = [this] {
    for (const auto& [id, worker] : workers) worker->Break();
  };
  const std::string folder = CheckpointFolder(spec);
  store.on_list = [this, folder](const std::string& listed, bool stale) {
    if (listed == folder) acknowledged.OnListing(folder, stale);
  };
  ++world.tally.drivers;
}

void SimDriver::Start() {
  loop_fiber = world.loop.Spawn([this] {
    JobResult ended = RunBackfill(spec, {view, view, store, pool, assembler, host, clock, runtime});
    for (const auto& [id, worker] : workers) worker->TakeFromDriver();
    world.Trace(name + " ends as " + std::string(JobStatusName(ended.status)) +
                (ended.error ? ": " + ended.error->message : ""));
    result = std::move(ended);
  });
}

void SimDriver::WakeLoop() {
  if (waiting) world.loop.Wake(loop_fiber);
}

}  // namespace leman::sim
