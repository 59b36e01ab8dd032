// What the coordinator and its workers say to each other. Format: docs/formats/messages.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/task.h"
#include "model/task_outcome.h"

namespace leman {

constexpr int64_t kProtocolVersion = 7;

// Coordinator to worker.

/// Everything a worker needs before its first task.
struct SetupMessage {
  int64_t protocol = kProtocolVersion;
  int64_t worker = 0;
  std::string name;  ///< Unique among all workers that ever wrote checkpoints of this computation.
  std::string table_root;
  std::string checkpoint_root;  ///< The table's, unless its checkpoints lie elsewhere.
  std::string checkpoint_folder;
  int64_t threads = 1;
  int64_t input_columns = 0;
  int64_t batch_rows = 0;
  bool batch_rows_fixed = false;
  int64_t first_call_rows = 1;
  int64_t rows_in_flight = 1;
  std::optional<int64_t> checkpoint_rows;
  std::optional<int64_t> min_checkpoint_rows;
  std::optional<int64_t> max_checkpoint_rows;
  int64_t memory_bytes = 0;  ///< That the worker may hold; 0: not limited.
  int64_t beat_ns = 0;       ///< Each end says something this often; 0: a closed connection is the only sign of death.
  int64_t lease_ns = 0;      ///< The coordinator gives up a worker that was silent for this long.
  std::string host_payload;  ///< For the worker's host: the function and how to open the table; opaque here.
};

struct AssignMessage {
  Task task;
  std::vector<std::string> fragment_keys;
  std::string filter;
  bool with_deleted_rows = false;
  bool only_listed_rows = false;
  std::vector<int64_t> rows;  ///< With only_listed_rows: of what the filter selects, only these physical rows.
  std::vector<int64_t> fragment_rows = {};   ///< Physical rows of each piece's fragment.
  std::vector<std::string> data_files = {};  ///< Of each piece's fragment, where checkpoints may go into its upload.
};

struct ShrinkMessage {
  TaskId task = 0;
  int32_t attempt = 0;
  int64_t keep_rows = 0;
};

/// Stop now; what is not checkpointed is dropped.
struct StopMessage {};

// Worker to coordinator.

/// The protocol comes first in every version of the format, so that a peer of another version can be told.
struct HelloMessage {
  int64_t protocol = kProtocolVersion;
  int64_t pid = 0;
  int64_t worker = 0;    ///< Which worker was asked for; 0 where the connection itself says so.
  std::string node;      ///< Where it runs, in the words of whoever placed it; empty on the driver's machine.
  std::string versions;  ///< Of what has to be the same at both ends: "<name> <version>, …".
};

/// The host is set up: tasks are welcome.
struct ReadyMessage {};

struct ProgressMessage {
  TaskId task = 0;
  int32_t attempt = 0;
  int64_t rows_done = 0;
};

struct TaskDoneMessage {
  TaskId task = 0;
  int32_t attempt = 0;
};

struct ShrunkMessage {
  TaskId task = 0;
  int32_t attempt = 0;
  int64_t kept_rows = 0;
};

/// The worker cannot work at all, e.g. the function cannot be loaded.
struct SetupFailedMessage {
  Error error;
};

/// The function does not come back and cannot be interrupted: the worker ends itself after this.
struct StuckMessage {
  TaskId task = 0;
  int32_t attempt = 0;
  RowRange rows;  ///< That the call is about.
  std::string error_type;
  std::string reason;
};

/// The worker holds too much memory, has told all its checkpoints, and ends: not a fault of anything in hand.
struct RetireMessage {
  std::string reason;
};

// Either way.

/// Alive.
struct BeatMessage {};

using Message = std::variant<SetupMessage, AssignMessage, ShrinkMessage, StopMessage, HelloMessage, ReadyMessage,
                             ProgressMessage, CheckpointDone, TaskDoneMessage, TaskFailed, ShrunkMessage,
                             SetupFailedMessage, BeatMessage, StuckMessage, RetireMessage>;

/// A frame: u32 payload length, u8 type, payload.
std::string EncodeFrame(const Message& message);
Result<Message> DecodePayload(uint8_t type, std::string_view payload);

/// The place of a message in the variant is its type on the wire.
constexpr uint8_t kHelloType = 4;

constexpr size_t kFrameHeaderBytes = 5;
constexpr uint32_t kMaxPayloadBytes = 1U << 30;

}  // namespace leman
