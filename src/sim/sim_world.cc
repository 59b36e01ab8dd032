#include "sim/sim_world.h"

#include <cstdio>
#include <cstring>

namespace leman::sim {

Faults Faults::Draw(SimRandom& random) {
  Faults faults;
  if (random.Chance(0.1)) return faults;
  const auto maybe = [&random](double& chance, double low, double high) {
    if (random.Chance(0.35)) chance = low + (high - low) * static_cast<double>(random.Below(1000)) / 1000;
  };
  maybe(faults.worker_death, 0.005, 0.1);
  maybe(faults.worker_hang, 0.002, 0.02);
  maybe(faults.worker_slow, 0.02, 0.2);
  maybe(faults.zombie, 0.2, 0.9);
  maybe(faults.driver_death, 0.002, 0.04);
  maybe(faults.driver_pause, 0.001, 0.01);
  maybe(faults.cut, 0.002, 0.03);
  maybe(faults.doubled, 0.01, 0.2);
  maybe(faults.reordered, 0.005, 0.05);
  maybe(faults.late, 0.02, 0.3);
  maybe(faults.store_error, 0.002, 0.03);
  maybe(faults.stale_list, 0.02, 0.3);
  maybe(faults.torn, 0.3, 1);
  maybe(faults.damage, 0.01, 0.1);
  maybe(faults.commit_conflict, 0.05, 0.5);
  maybe(faults.commit_unknown, 0.05, 0.5);
  maybe(faults.change, 0.05, 0.6);
  maybe(faults.clean, 0.02, 0.2);
  maybe(faults.two_drivers, 0.1, 0.5);
  maybe(faults.cancel, 0.001, 0.01);
  maybe(faults.clock_jump, 0.1, 0.5);
  return faults;
}

bool Faults::none() const {
  for (const double chance :
       {worker_death,    worker_hang,    worker_slow, zombie,      driver_death, driver_pause, cut,
        doubled,         reordered,      late,        store_error, stale_list,   torn,         damage,
        commit_conflict, commit_unknown, change,      clean,       two_drivers,  cancel,       clock_jump}) {
    if (chance > 0) return false;
  }
  return true;
}

void SimTally::Add(const SimTally& other) {
  drivers += other.drivers;
  driver_deaths += other.driver_deaths;
  workers += other.workers;
  worker_deaths += other.worker_deaths;
  drains += other.drains;
  calls += other.calls;
  rows_computed += other.rows_computed;
  checkpoints += other.checkpoints;
  commits += other.commits;
  changes += other.changes;
  cleanups += other.cleanups;
  store_errors += other.store_errors;
  events += other.events;
}

void World::Violate(const std::string& what) {
  Trace("VIOLATION " + what);
  if (violations.size() < 10) violations.push_back(what);
}

void World::Trace(const std::string& what) {
  if (options.trace) std::printf("%12.6f %s\n", static_cast<double>(loop.now_ns()) / 1e9, what.c_str());
}

bool World::Fault(double chance, const char* what) {
  if (chance <= 0 || !random.Chance(chance)) return false;
  ++incidents;
  Trace(std::string("fault: ") + what);
  return true;
}

void World::Sleep(Process& process, int64_t ns) {
  if (process.dead) return;
  const FiberId self = loop.current();
  if (self == 0) return;
  process.asleep.insert(self);
  loop.Sleep(ns);
  while (!process.dead && process.frozen_until_ns > loop.now_ns()) loop.Sleep(process.frozen_until_ns - loop.now_ns());
  process.asleep.erase(self);
}

void World::Die(Process& process, const char* why) {
  if (process.dead) return;
  Trace(process.name + " dies: " + why);
  process.dead = true;
  ++incidents;
  ++(process.is_driver ? tally.driver_deaths : tally.worker_deaths);
  for (const FiberId fiber : process.asleep) loop.Wake(fiber);
  if (process.on_death) process.on_death();
}

Status World::Enter(Process& process, const std::string& operation) {
  const Error gone = MakeError(ErrorKind::kCancelled, "this process is dead");
  if (process.dead) return gone;
  if (process.is_driver && Fault(faults.driver_death, "driver dies before")) Die(process, operation.c_str());
  if (process.is_driver && Fault(faults.driver_pause, "driver stands still")) {
    process.frozen_until_ns = loop.now_ns() + random.Between(1, 100) * kSecond;
  }
  if (!process.is_driver && Fault(faults.worker_death / 8, "worker dies in an operation"))
    Die(process, operation.c_str());
  Sleep(process, random.Between(0, 2 * kMs));
  if (process.dead) return gone;
  Trace(process.name + " " + operation);
  return Ok();
}

Status World::Leave(Process& process) {
  if (process.is_driver && Fault(faults.driver_death, "driver dies after")) Die(process, "after an operation");
  if (process.dead) return MakeError(ErrorKind::kCancelled, "this process is dead");
  return Ok();
}

Result<std::string> ProcessStore::Get(const std::string& key) { return GetRange(key, 0, -1); }

Result<std::string> ProcessStore::GetRange(const std::string& key, int64_t offset, int64_t size_bytes) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "Get " + key));
  if (world_.Fault(world_.faults.store_error, "read fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  const auto found = world_.objects.find(key);
  if (found == world_.objects.end()) return MakeError(ErrorKind::kNotFound, "open ", key, ": no such object");
  const std::string& bytes = found->second.bytes;
  if (size_bytes < 0) size_bytes = static_cast<int64_t>(bytes.size()) - offset;
  return bytes.substr(static_cast<size_t>(offset), static_cast<size_t>(size_bytes));
}

Status ProcessStore::Change(const std::string& operation, const std::string& key,
                            const std::function<Status()>& effect) {
  LEMAN_RETURN_IF_ERROR(ValidateKey(key));
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, operation + " " + key));
  const bool fails = world_.Fault(world_.faults.store_error, "write fails");
  world_.tally.store_errors += fails ? 1 : 0;
  if (fails && world_.random.Chance(0.5)) return MakeError(ErrorKind::kRetryable, "simulated: nothing happened");
  LEMAN_RETURN_IF_ERROR(effect());
  if (fails) return MakeError(ErrorKind::kRetryable, "simulated: it happened all the same");
  return world_.Leave(process_);
}

Status ProcessStore::Put(const std::string& key, std::string_view bytes) {
  return Change("Put", key, [&]() -> Status {
    world_.objects[key] = {std::string(bytes), world_.now_us()};
    return Ok();
  });
}

Status ProcessStore::PutIfAbsent(const std::string& key, std::string_view bytes) {
  return Change("PutIfAbsent", key, [&]() -> Status {
    if (world_.objects.contains(key)) return MakeError(ErrorKind::kAlreadyExists, "create ", key, ": it exists");
    world_.objects[key] = {std::string(bytes), world_.now_us()};
    return Ok();
  });
}

Result<std::vector<ObjectMeta>> ProcessStore::List(const std::string& folder) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "List " + folder));
  if (world_.Fault(world_.faults.store_error, "list fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  const bool stale = world_.Fault(world_.faults.stale_list, "stale list");
  const std::string prefix = folder + "/";
  std::vector<ObjectMeta> found;
  for (auto it = world_.objects.lower_bound(prefix); it != world_.objects.end() && it->first.starts_with(prefix);
       ++it) {
    const std::string name = it->first.substr(prefix.size());
    if (stale && world_.random.Chance(0.5)) continue;
    if (name.find('/') == std::string::npos) found.push_back({name, static_cast<int64_t>(it->second.bytes.size())});
  }
  if (on_list) on_list(folder, stale);
  if (world_.options.sabotage == Sabotage::kForgetCheckpoints) found.clear();
  return found;
}

Status ProcessStore::Copy(const std::string& from, const std::string& to) {
  return Change("Copy", to, [&]() -> Status {
    const auto found = world_.objects.find(from);
    if (found == world_.objects.end()) return MakeError(ErrorKind::kNotFound, "copy ", from, ": no such object");
    world_.objects[to] = {found->second.bytes, world_.now_us(), found->second.damaged};
    return Ok();
  });
}

Status ProcessStore::Rename(const std::string& from, const std::string& to) {
  if (world_.options.sabotage == Sabotage::kAcknowledgeEarly && !process_.is_driver) {
    if (process_.dead) return MakeError(ErrorKind::kCancelled, "this process is dead");
    world_.loop.At(world_.loop.now_ns() + 200 * kMs, [this, &world = world_, &process = process_, from, to] {
      if (process.dead || !world.objects.contains(from)) return;
      world.objects[to] = {world.objects[from].bytes, world.now_us()};
      world.objects.erase(from);
    });
    return Ok();
  }
  return Change("Rename", to, [&]() -> Status {
    const auto found = world_.objects.find(from);
    if (found == world_.objects.end()) return MakeError(ErrorKind::kNotFound, "rename ", from, ": no such object");
    StoredBytes moved = std::move(found->second);
    moved.changed_us = world_.now_us();
    world_.objects.erase(found);
    if (world_.Fault(world_.faults.damage, "bits flip")) {
      moved.bytes[moved.bytes.size() / 2] = static_cast<char>(moved.bytes[moved.bytes.size() / 2] ^ 0x10);
      moved.damaged = true;
    }
    world_.objects[to] = std::move(moved);
    return Ok();
  });
}

Status ProcessStore::Delete(const std::string& key) {
  return Change("Delete", key, [&]() -> Status {
    world_.objects.erase(key);
    return Ok();
  });
}

Result<bool> ProcessStore::Exists(const std::string& key) {
  LEMAN_RETURN_IF_ERROR(world_.Enter(process_, "Exists " + key));
  if (world_.Fault(world_.faults.store_error, "look fails")) return MakeError(ErrorKind::kRetryable, "simulated");
  return world_.objects.contains(key);
}

namespace {

uint64_t Digest(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

constexpr size_t kRowBytes = 9;

}  // namespace

std::string EncodeValues(const Int64s& values) {
  std::string bytes;
  for (const auto& value : values) {
    const int64_t number = value.value_or(0);
    bytes.push_back(value ? 1 : 0);
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  const uint64_t digest = Digest(bytes);
  bytes.append(reinterpret_cast<const char*>(&digest), sizeof digest);
  return bytes;
}

Result<Int64s> DecodeValues(const std::string& name, const std::string& bytes, bool check) {
  uint64_t digest = 0;
  if (bytes.size() < sizeof digest) return MakeError(ErrorKind::kCorrupt, name, " is too short");
  const std::string_view rows(bytes.data(), bytes.size() - sizeof digest);
  std::memcpy(&digest, bytes.data() + rows.size(), sizeof digest);
  if (check && (rows.size() % kRowBytes != 0 || Digest(rows) != digest)) {
    return MakeError(ErrorKind::kCorrupt, name, " has bytes that were not written");
  }
  Int64s values;
  for (size_t at = 0; at + kRowBytes <= rows.size(); at += kRowBytes) {
    int64_t number = 0;
    std::memcpy(&number, rows.data() + at + 1, sizeof number);
    values.push_back(rows[at] != 0 ? std::optional<int64_t>(number) : std::nullopt);
  }
  return values;
}

}  // namespace leman::sim
