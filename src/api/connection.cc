#include "api/handles.h"
#include "api/host_call.h"
#include "api/process_host.h"

namespace leman {
inline namespace v1 {
namespace {

Result<Table> TableAt(const std::shared_ptr<api::Database>& database, Result<api::TablePlace> place) {
  if (!place.ok()) return place.error();
  return Table(std::make_shared<const Table::Impl>(Table::Impl{database, std::move(place).value()}));
}

}  // namespace

Result<Connection> Connect(const std::string& uri, const ConnectOptions& options) {
  const api::BrokenPipeGuard no_sigpipe;
  Result<std::shared_ptr<api::Database>> database = api::ConnectInHost(uri, options);
  if (!database.ok()) return database.error();
  return Connection(std::make_shared<const Connection::Impl>(Connection::Impl{std::move(database).value()}));
}

const std::string& Connection::uri() const { return impl_->database->uri(); }

Result<std::vector<std::string>> Connection::TableNames() const {
  return api::HostCall([&] { return impl_->database->TableNames(); });
}

Result<Table> Connection::OpenTable(const std::string& name, std::optional<int64_t> version) const {
  return api::HostCall([&] { return TableAt(impl_->database, impl_->database->OpenTable({name, version})); });
}

Result<Table> Connection::CreateTable(const std::string& name, ArrowArrayStream* data,
                                      const CreateTableOptions& options) const {
  if (data == nullptr || data->release == nullptr) {
    return Error{ErrorKind::kInvalidArgument,
                 "ValueError",
                 data == nullptr ? "data=nullptr: expected an ArrowArrayStream"
                                 : "data: expected an ArrowArrayStream, got one that was released",
                 {}};
  }
  Result<Table> made =
      api::HostCall([&] { return TableAt(impl_->database, impl_->database->CreateTable(name, data, options)); });
  if (data->release != nullptr) data->release(data);
  return made;
}

Status Connection::DropTable(const std::string& name) const {
  return api::HostCall([&] { return impl_->database->DropTable(name); });
}

Result<std::vector<Job>> Connection::Jobs(const JobsOptions& options) const {
  return api::HostCall([&] { return impl_->database->Jobs(options); });
}

Result<Job> Connection::GetJob(const JobId& job_id) const {
  return api::HostCall([&] { return impl_->database->GetJob(job_id); });
}

Result<bool> Connection::CancelJob(const JobId& job_id) const {
  return api::HostCall([&] { return impl_->database->CancelJob(job_id); });
}

}  // namespace v1
}  // namespace leman
