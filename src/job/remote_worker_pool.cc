#include "job/remote_worker_pool.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace leman {

Result<std::unique_ptr<RemoteWorkerPool>> RemoteWorkerPool::Open(RemotePoolOptions options, WorkerLauncher& launcher,
                                                                 Clock& clock) {
  LEMAN_ASSIGN_OR_RETURN(auto listener, WorkerListener::Open(options.listen));
  return std::unique_ptr<RemoteWorkerPool>(
      new RemoteWorkerPool(std::move(options), launcher, clock, std::move(listener)));
}

RemoteWorkerPool::RemoteWorkerPool(RemotePoolOptions options, WorkerLauncher& launcher, Clock& clock,
                                   std::unique_ptr<WorkerListener> listener)
    : options_(std::move(options)), launcher_(launcher), clock_(clock), listener_(std::move(listener)) {}

// A worker that replaces a lost one comes at once, unless workers are being lost one after the other.
int64_t RemoteWorkerPool::PauseNs() const {
  const int32_t failures = std::max(failed_launches_, losses_ - 1);
  if (failures <= 0) return 0;
  constexpr int32_t kMaxDoublings = 16;
  const int64_t pause = options_.first_pause_ns << std::min(failures - 1, kMaxDoublings);
  return std::min(pause, options_.longest_pause_ns);
}

Result<int> RemoteWorkerPool::Start(WorkerId worker) {
  Entry entry;
  entry.since_ns = clock_.MonotonicNs() + PauseNs();
  entries_[worker] = std::move(entry);
  LaunchDue(clock_.MonotonicNs());
  return kComesLater;
}

void RemoteWorkerPool::Suspect(const std::string& node) {
  if (!node.empty()) suspect_until_ns_[node] = clock_.MonotonicNs() + options_.suspicion_ns;
}

std::vector<std::string> RemoteWorkerPool::NodesToAvoid(int64_t now_ns) {
  std::erase_if(suspect_until_ns_, [now_ns](const auto& entry) { return entry.second <= now_ns; });
  if (suspect_until_ns_.empty()) return {};
  const std::vector<std::string> nodes = launcher_.Nodes();
  // Better a suspect node than none.
  const bool others =
      std::any_of(nodes.begin(), nodes.end(), [this](const auto& node) { return !suspect_until_ns_.contains(node); });
  std::vector<std::string> avoid;
  if (!others) return avoid;
  for (const auto& [node, until_ns] : suspect_until_ns_) avoid.push_back(node);
  return avoid;
}

void RemoteWorkerPool::LaunchDue(int64_t now_ns) {
  for (auto& [worker, entry] : entries_) {
    // Where a node was avoided, a worker may wait for room on the others that never comes.
    const bool patience_over =
        entry.state == Entry::State::kLaunched && entry.avoiding && now_ns - entry.since_ns > options_.suspicion_ns;
    if (patience_over) {
      launcher_.Stop(entry.launch);
    } else if (entry.state != Entry::State::kWaiting || entry.since_ns > now_ns) {
      continue;
    }
    LaunchOrder order{worker, next_launch_++, NodesToAvoid(now_ns)};
    entry = Entry{};
    entry.state = Entry::State::kLaunched;
    entry.launch = order.launch;
    entry.since_ns = now_ns;
    entry.avoiding = !order.avoid_nodes.empty();
    launcher_.Launch(order);
  }
}

RemoteWorkerPool::Entry* RemoteWorkerPool::EntryOf(int64_t launch, WorkerId* worker) {
  for (auto& [id, entry] : entries_) {
    if (entry.launch != launch || entry.state == Entry::State::kWaiting) continue;
    *worker = id;
    return &entry;
  }
  return nullptr;
}

void RemoteWorkerPool::TakeLauncherNews(int64_t now_ns, std::vector<PoolNews>& news) {
  for (LaunchNews& said : launcher_.TakeNews()) {
    WorkerId worker = 0;
    if (said.kind == LaunchNews::Kind::kFailed) {
      news.push_back({PoolNews::Kind::kFailed, 0, -1, 0, std::move(said.text)});
    } else if (said.kind == LaunchNews::Kind::kNote) {
      news.push_back({PoolNews::Kind::kNote, 0, -1, 0, std::move(said.text)});
    } else if (said.kind == LaunchNews::Kind::kLeaving) {
      OnLeaving(said.text, news);
    } else if (Entry* entry = EntryOf(said.launch, &worker)) {
      OnEnded(worker, *entry, said.text, now_ns, news);
    }
  }
}

void RemoteWorkerPool::OnEnded(WorkerId worker, Entry& entry, const std::string& why, int64_t now_ns,
                               std::vector<PoolNews>& news) {
  if (entry.state == Entry::State::kConnected) {
    entry.ended = why;  // its socket says so, too
    return;
  }
  ++failed_launches_;
  const bool others = std::any_of(entries_.begin(), entries_.end(),
                                  [](const auto& other) { return other.second.state == Entry::State::kConnected; });
  // A node that dies takes all the workers with it that were starting there: that says nothing against the next ones.
  const size_t together = entries_.size() - 1;
  if (static_cast<size_t>(failed_launches_) >= static_cast<size_t>(options_.max_failed_launches) + together &&
      !others) {
    news.push_back(
        {PoolNews::Kind::kFailed, worker, -1, 0,
         "no worker could be started, " + std::to_string(failed_launches_) + " times in a row; the last time: " + why});
    return;
  }
  news.push_back({PoolNews::Kind::kNote, worker, -1, 0,
                  "worker " + std::to_string(worker) + " did not start and is started again: " + why});
  entry = Entry{};
  entry.since_ns = now_ns + PauseNs();
}

void RemoteWorkerPool::OnLeaving(const std::string& node, std::vector<PoolNews>& news) {
  if (!leaving_.insert(node).second) return;
  int64_t workers = 0;
  for (const auto& [worker, entry] : entries_) {
    if (entry.state != Entry::State::kConnected || entry.node != node) continue;
    ++workers;
    news.push_back({PoolNews::Kind::kLeaving, worker, -1, 0, {}});
  }
  if (workers == 0) return;
  news.push_back({PoolNews::Kind::kNote, 0, -1, 0,
                  "node " + node + " is about to go: its " + std::to_string(workers) +
                      " worker(s) end with what they have computed, and others go on"});
}

std::string RemoteWorkerPool::WhyRefused(const Arrival& arrival) const {
  if (arrival.fd < 0) return "a worker was refused: " + arrival.refusal;
  if (arrival.hello.versions == options_.versions) return {};
  return "a worker on node " + arrival.hello.node +
         " has other versions than this process; here: " + options_.versions + "; there: " + arrival.hello.versions +
         ". Install the same ones on every node";
}

void RemoteWorkerPool::TakeArrivals(int64_t now_ns, std::vector<PoolNews>& news) {
  for (Arrival& arrival : listener_->Poll(now_ns)) {
    const std::string refusal = WhyRefused(arrival);
    const auto found = entries_.find(static_cast<WorkerId>(arrival.hello.worker));
    // One that nobody waits for any more: it was given up, and another one has its place.
    const bool awaited = found != entries_.end() && found->second.state == Entry::State::kLaunched;
    if (!refusal.empty() || !awaited) {
      if (arrival.fd >= 0) ::close(arrival.fd);
      if (!refusal.empty()) news.push_back({PoolNews::Kind::kFailed, 0, -1, 0, refusal});
      continue;
    }
    Entry& entry = found->second;
    entry.state = Entry::State::kConnected;
    entry.since_ns = now_ns;
    entry.node = arrival.hello.node;
    failed_launches_ = 0;
    news.push_back({PoolNews::Kind::kNote, found->first, -1, 0,
                    "worker " + std::to_string(found->first) + " (pid " + std::to_string(arrival.hello.pid) +
                        ") runs on node " + entry.node});
    news.push_back({PoolNews::Kind::kConnected, found->first, arrival.fd, arrival.hello.pid, {}});
    if (leaving_.contains(entry.node)) news.push_back({PoolNews::Kind::kLeaving, found->first, -1, 0, {}});
  }
}

std::vector<PoolNews> RemoteWorkerPool::Poll() {
  const int64_t now_ns = clock_.MonotonicNs();
  std::vector<PoolNews> news = std::exchange(unsaid_, {});
  if (losses_ > 0 && now_ns - last_loss_ns_ > options_.longest_pause_ns) losses_ = 0;
  TakeLauncherNews(now_ns, news);
  TakeArrivals(now_ns, news);
  LaunchDue(now_ns);
  return news;
}

void RemoteWorkerPool::Kill(WorkerId worker, int64_t) {
  const auto found = entries_.find(worker);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (entry.state == Entry::State::kConnected) {
    // Nothing was wrong with its process as far as is known: it is the node that does not answer.
    Suspect(entry.node);
    ++losses_;
    last_loss_ns_ = clock_.MonotonicNs();
  }
  if (entry.state != Entry::State::kWaiting) launcher_.Stop(entry.launch);
  entries_.erase(found);
}

void RemoteWorkerPool::Release(WorkerId worker) {
  const auto found = entries_.find(worker);
  if (found == entries_.end()) return;
  launcher_.Stop(found->second.launch);
  entries_.erase(found);
}

std::string RemoteWorkerPool::ExitReason(WorkerId worker, int64_t) {
  const auto found = entries_.find(worker);
  if (found == entries_.end()) return "its connection closed";
  constexpr int64_t kStepNs = 10'000'000;
  const int64_t launch = found->second.launch;
  const int64_t deadline_ns = clock_.MonotonicNs() + options_.exit_wait_ns;
  while (found->second.ended.empty() && clock_.MonotonicNs() < deadline_ns) {
    clock_.SleepNs(kStepNs);
    TakeLauncherNews(clock_.MonotonicNs(), unsaid_);
  }
  std::string reason = std::move(found->second.ended);
  if (reason.empty()) {
    // A process that dies on a node that lives is known of at once.
    Suspect(found->second.node);
    reason = "its connection closed";
  }
  reason += " (node " + found->second.node + ")";
  ++losses_;
  last_loss_ns_ = clock_.MonotonicNs();
  launcher_.Stop(launch);
  entries_.erase(found);
  return reason;
}

}  // namespace leman
