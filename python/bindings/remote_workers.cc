#include "remote_workers.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <tuple>

#include "base/clock.h"
#include "worker_session.h"

namespace leman::python {
namespace nb = nanobind;
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kMsPerSecond = 1e3;

std::string BytesOf(const nb::handle& object) {
  const auto bytes = nb::cast<nb::bytes>(object);
  return {bytes.c_str(), bytes.size()};
}

TcpAddress AddressOf(const nb::dict& dict) {
  return {nb::cast<std::string>(dict["host"]), nb::cast<uint16_t>(dict["port"])};
}

// Calls into the launcher, which catches what it expects; anything else is told as news that ends the job.
template <typename Body>
void Guarded(std::vector<LaunchNews>* news, const Body& body) {
  const nb::gil_scoped_acquire gil;
  try {
    body();
  } catch (nb::python_error& exception) {
    if (news != nullptr) {
      news->push_back(
          {LaunchNews::Kind::kFailed, 0, std::string("the launcher of workers failed: ") + exception.what()});
    } else {
      exception.discard_as_unraisable("launching workers");
    }
  }
}

}  // namespace

void PythonLauncher::Launch(const LaunchOrder& order) {
  Guarded(nullptr, [&] { launcher_.attr("launch")(order.worker, order.launch, order.avoid_nodes); });
}

void PythonLauncher::Stop(int64_t launch) {
  Guarded(nullptr, [&] { launcher_.attr("stop")(launch); });
}

void PythonLauncher::Listening(uint16_t port) { launcher_.attr("listening")(port); }

std::vector<LaunchNews> PythonLauncher::TakeNews() {
  std::vector<LaunchNews> news;
  Guarded(&news, [&] {
    for (const nb::handle item : launcher_.attr("take_news")()) {
      const auto [kind, launch, text] = nb::cast<std::tuple<std::string, int64_t, std::string>>(item);
      const auto told = kind == "ended"     ? LaunchNews::Kind::kEnded
                        : kind == "leaving" ? LaunchNews::Kind::kLeaving
                        : kind == "note"    ? LaunchNews::Kind::kNote
                                            : LaunchNews::Kind::kFailed;
      news.push_back({told, launch, text});
    }
  });
  return news;
}

std::vector<std::string> PythonLauncher::Nodes() {
  std::vector<std::string> nodes;
  Guarded(nullptr, [&] { nodes = nb::cast<std::vector<std::string>>(launcher_.attr("nodes")()); });
  return nodes;
}

RemoteWorkers::RemoteWorkers(const nb::dict& remote, Clock& clock) : launcher_(nb::object(remote["launcher"])) {
  RemotePoolOptions options;
  options.listen.address = AddressOf(remote);
  options.listen.token = BytesOf(remote["token"]);
  options.versions = nb::cast<std::string>(remote["versions"]);
  options.heartbeat.beat_ns = static_cast<int64_t>(nb::cast<double>(remote["beat_s"]) * kNsPerSecond);
  options.heartbeat.lease_ns = static_cast<int64_t>(nb::cast<double>(remote["lease_s"]) * kNsPerSecond);
  options.listen.silence_ms = static_cast<int>(nb::cast<double>(remote["lease_s"]) * kMsPerSecond);
  auto opened = RemoteWorkerPool::Open(std::move(options), launcher_, clock);
  if (!opened.ok()) throw std::runtime_error(opened.error().message);
  pool_ = std::move(*opened);
  launcher_.Listening(pool_->port());
}

void ServeRemoteWorker(const nb::dict& order, const nb::object& session_class) {
  DialOptions dial;
  dial.address = AddressOf(order);
  dial.token = BytesOf(order["token"]);
  dial.timeout_ms = static_cast<int>(nb::cast<double>(order["timeout_s"]) * kMsPerSecond);
  HelloMessage hello;
  hello.worker = nb::cast<int64_t>(order["worker"]);
  hello.node = nb::cast<std::string>(order["node"]);
  hello.versions = nb::cast<std::string>(order["versions"]);
  PythonWorkerHost host(session_class);
  SystemClock clock;
  const Status status = [&]() -> Status {
    const nb::gil_scoped_release no_gil;
    LEMAN_ASSIGN_OR_RETURN(const int fd, DialCoordinator(dial));
    return ServeWorker(fd, host, clock, hello);
  }();
  if (!status.ok()) throw std::runtime_error(status.error().message);
}

}  // namespace leman::python
