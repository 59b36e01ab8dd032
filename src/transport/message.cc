#include "transport/message.h"

#include "transport/codec.h"

namespace leman {
namespace {

void Put(Encoder& out, const std::optional<int64_t>& value) {
  out.Flag(value.has_value());
  out.Int(value.value_or(0));
}

std::optional<int64_t> TakeOptional(Decoder& in) {
  const bool present = in.Flag();
  const int64_t value = in.Int();
  return present ? std::optional<int64_t>(value) : std::nullopt;
}

void Put(Encoder& out, const RowRange& range) {
  out.Int(range.fragment_id);
  out.Int(range.start);
  out.Int(range.end);
}

RowRange TakeRange(Decoder& in) {
  RowRange range;
  range.fragment_id = in.Int();
  range.start = in.Int();
  range.end = in.Int();
  return range;
}

void Put(Encoder& out, const Error& error) {
  out.Int(static_cast<int64_t>(error.kind));
  out.Text(error.message);
  out.Text(error.name);
}

Error TakeError(Decoder& in) {
  const int64_t kind = in.Int();
  std::string message = in.Text();
  std::string name = in.Text();
  const bool known = kind >= 0 && kind <= static_cast<int64_t>(ErrorKind::kInternal);
  return Error{known ? static_cast<ErrorKind>(kind) : ErrorKind::kInternal, std::move(message), std::move(name)};
}

void Put(Encoder& out, const WorkTimes& times) {
  out.Int(times.read_ns);
  out.Int(times.udf_ns);
  out.Int(times.write_ns);
  out.Int(times.udf_calls);
  out.Int(times.bytes_read);
  out.Int(times.null_inputs);
  out.Int(times.bytes_staged);
  out.Int(times.batches_shrunk);
}

WorkTimes TakeTimes(Decoder& in) {
  WorkTimes times;
  times.read_ns = in.Int();
  times.udf_ns = in.Int();
  times.write_ns = in.Int();
  times.udf_calls = in.Int();
  times.bytes_read = in.Int();
  times.null_inputs = in.Int();
  times.bytes_staged = in.Int();
  times.batches_shrunk = in.Int();
  return times;
}

template <typename Named>
void PutTask(Encoder& out, const Named& message) {
  out.Int(message.task);
  out.Int(message.attempt);
}

template <typename Named>
void TakeTask(Decoder& in, Named& message) {
  message.task = in.Int();
  message.attempt = static_cast<int32_t>(in.Int());
}

void Put(Encoder& out, const SkippedRow& row) {
  out.Int(row.fragment_id);
  out.Int(row.row);
  out.Text(row.error_type);
  out.Text(row.message);
  out.Text(row.traceback);
  out.Int(row.attempts);
}

SkippedRow TakeSkippedRow(Decoder& in) {
  SkippedRow row;
  row.fragment_id = in.Int();
  row.row = in.Int();
  row.error_type = in.Text();
  row.message = in.Text();
  row.traceback = in.Text();
  row.attempts = in.Int();
  return row;
}

// One Encode and one Decode per message, in the order of the variant.

void Encode(Encoder& out, const SetupMessage& m) {
  out.Int(m.protocol);
  out.Int(m.worker);
  out.Text(m.name);
  out.Text(m.table_root);
  out.Text(m.checkpoint_root);
  out.Text(m.checkpoint_folder);
  out.Int(m.threads);
  out.Int(m.input_columns);
  out.Int(m.batch_rows);
  out.Flag(m.batch_rows_fixed);
  out.Int(m.first_call_rows);
  out.Int(m.rows_in_flight);
  Put(out, m.checkpoint_rows);
  Put(out, m.min_checkpoint_rows);
  Put(out, m.max_checkpoint_rows);
  out.Int(m.memory_bytes);
  out.Int(m.beat_ns);
  out.Int(m.lease_ns);
  out.Text(m.host_payload);
}

void Decode(Decoder& in, SetupMessage& m) {
  m.protocol = in.Int();
  m.worker = in.Int();
  m.name = in.Text();
  m.table_root = in.Text();
  m.checkpoint_root = in.Text();
  m.checkpoint_folder = in.Text();
  m.threads = in.Int();
  m.input_columns = in.Int();
  m.batch_rows = in.Int();
  m.batch_rows_fixed = in.Flag();
  m.first_call_rows = in.Int();
  m.rows_in_flight = in.Int();
  m.checkpoint_rows = TakeOptional(in);
  m.min_checkpoint_rows = TakeOptional(in);
  m.max_checkpoint_rows = TakeOptional(in);
  m.memory_bytes = in.Int();
  m.beat_ns = in.Int();
  m.lease_ns = in.Int();
  m.host_payload = in.Text();
}

void Encode(Encoder& out, const AssignMessage& m) {
  out.Int(m.task.id);
  out.Int(m.task.attempt);
  out.Int(static_cast<int64_t>(m.task.pieces.size()));
  for (size_t i = 0; i < m.task.pieces.size(); ++i) {
    Put(out, m.task.pieces[i]);
    out.Text(m.fragment_keys[i]);
    out.Int(i < m.fragment_rows.size() ? m.fragment_rows[i] : 0);
    out.Text(i < m.data_files.size() ? m.data_files[i] : "");
  }
  out.Text(m.filter);
  out.Flag(m.with_deleted_rows);
  out.Flag(m.only_listed_rows);
  out.Int(static_cast<int64_t>(m.rows.size()));
  for (const int64_t row : m.rows) out.Int(row);
  const RowFailure given_up = m.task.given_up.value_or(RowFailure{});
  out.Flag(m.task.given_up.has_value());
  out.Text(given_up.error_type);
  out.Text(given_up.message);
  out.Int(given_up.attempts);
}

void Decode(Decoder& in, AssignMessage& m) {
  m.task.id = in.Int();
  m.task.attempt = static_cast<int32_t>(in.Int());
  const int64_t pieces = in.Count(32);
  for (int64_t i = 0; i < pieces; ++i) {
    m.task.pieces.push_back(TakeRange(in));
    m.fragment_keys.push_back(in.Text());
    m.fragment_rows.push_back(in.Int());
    m.data_files.push_back(in.Text());
  }
  m.filter = in.Text();
  m.with_deleted_rows = in.Flag();
  m.only_listed_rows = in.Flag();
  const int64_t rows = in.Count(8);
  for (int64_t i = 0; i < rows; ++i) m.rows.push_back(in.Int());
  const bool is_given_up = in.Flag();
  RowFailure given_up;
  given_up.error_type = in.Text();
  given_up.message = in.Text();
  given_up.attempts = in.Int();
  if (is_given_up) m.task.given_up = std::move(given_up);
}

void Encode(Encoder& out, const ShrinkMessage& m) {
  PutTask(out, m);
  out.Int(m.keep_rows);
}
void Decode(Decoder& in, ShrinkMessage& m) {
  TakeTask(in, m);
  m.keep_rows = in.Int();
}

void Encode(Encoder&, const StopMessage&) {}
void Decode(Decoder&, StopMessage&) {}

void Encode(Encoder& out, const HelloMessage& m) {
  out.Int(m.protocol);
  out.Int(m.pid);
  out.Int(m.worker);
  out.Text(m.node);
  out.Text(m.versions);
}
void Decode(Decoder& in, HelloMessage& m) {
  m.protocol = in.Int();
  m.pid = in.Int();
  m.worker = in.Int();
  m.node = in.Text();
  m.versions = in.Text();
}

void Encode(Encoder&, const ReadyMessage&) {}
void Decode(Decoder&, ReadyMessage&) {}

void Encode(Encoder& out, const ProgressMessage& m) {
  PutTask(out, m);
  out.Int(m.rows_done);
}
void Decode(Decoder& in, ProgressMessage& m) {
  TakeTask(in, m);
  m.rows_done = in.Int();
}

void Encode(Encoder& out, const CheckpointDone& m) {
  PutTask(out, m);
  Put(out, m.range);
  out.Text(m.path);
  out.Int(m.rows_computed);
  out.Int(m.size_bytes);
  Put(out, m.times);
  out.Int(static_cast<int64_t>(m.skipped.size()));
  for (const SkippedRow& row : m.skipped) Put(out, row);
}
void Decode(Decoder& in, CheckpointDone& m) {
  TakeTask(in, m);
  m.range = TakeRange(in);
  m.path = in.Text();
  m.rows_computed = in.Int();
  m.size_bytes = in.Int();
  m.times = TakeTimes(in);
  constexpr int64_t kMinRowBytes = 48;
  const int64_t skipped = in.Count(kMinRowBytes);
  for (int64_t i = 0; i < skipped; ++i) m.skipped.push_back(TakeSkippedRow(in));
}

void Encode(Encoder& out, const TaskDoneMessage& m) { PutTask(out, m); }
void Decode(Decoder& in, TaskDoneMessage& m) { TakeTask(in, m); }

void Encode(Encoder& out, const TaskFailed& m) {
  PutTask(out, m);
  Put(out, m.error);
  Put(out, m.where);
}
void Decode(Decoder& in, TaskFailed& m) {
  TakeTask(in, m);
  m.error = TakeError(in);
  m.where = TakeRange(in);
}

void Encode(Encoder& out, const ShrunkMessage& m) {
  PutTask(out, m);
  out.Int(m.kept_rows);
}
void Decode(Decoder& in, ShrunkMessage& m) {
  TakeTask(in, m);
  m.kept_rows = in.Int();
}

void Encode(Encoder& out, const SetupFailedMessage& m) { Put(out, m.error); }
void Decode(Decoder& in, SetupFailedMessage& m) { m.error = TakeError(in); }

void Encode(Encoder&, const BeatMessage&) {}
void Decode(Decoder&, BeatMessage&) {}

static_assert(std::is_same_v<std::variant_alternative_t<kHelloType, Message>, HelloMessage>);

void Encode(Encoder& out, const StuckMessage& m) {
  PutTask(out, m);
  Put(out, m.rows);
  out.Text(m.error_type);
  out.Text(m.reason);
}
void Decode(Decoder& in, StuckMessage& m) {
  TakeTask(in, m);
  m.rows = TakeRange(in);
  m.error_type = in.Text();
  m.reason = in.Text();
}

void Encode(Encoder& out, const RetireMessage& m) { out.Text(m.reason); }
void Decode(Decoder& in, RetireMessage& m) { m.reason = in.Text(); }

template <size_t Index = 0>
Result<Message> DecodeAlternative(uint8_t type, std::string_view payload) {
  if constexpr (Index == std::variant_size_v<Message>) {
    return MakeError(ErrorKind::kCorrupt, "unknown message type ", static_cast<int>(type));
  } else {
    if (type != Index) return DecodeAlternative<Index + 1>(type, payload);
    std::variant_alternative_t<Index, Message> message;
    Decoder in(payload);
    Decode(in, message);
    LEMAN_RETURN_IF_ERROR(in.Finish());
    return Message(std::move(message));
  }
}

}  // namespace

std::string EncodeFrame(const Message& message) {
  Encoder out;
  std::visit([&out](const auto& alternative) { Encode(out, alternative); }, message);
  const std::string payload = out.Take();
  const auto size = static_cast<uint32_t>(payload.size());
  std::string frame;
  frame.reserve(kFrameHeaderBytes + payload.size());
  frame.append(reinterpret_cast<const char*>(&size), sizeof size);
  frame.push_back(static_cast<char>(message.index()));
  frame.append(payload);
  return frame;
}

Result<Message> DecodePayload(uint8_t type, std::string_view payload) { return DecodeAlternative(type, payload); }

}  // namespace leman
