#include "transport/message.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "transport/channel.h"

namespace leman {
namespace {

Message RoundTrip(const Message& message) {
  FrameParser parser;
  parser.Append(EncodeFrame(message));
  auto next = parser.Next();
  EXPECT_TRUE(next.ok());
  EXPECT_EQ(next->size(), 1U);
  return next->front();
}

TEST(Message, AssignSurvivesTheWire) {
  AssignMessage sent;
  sent.task = Task{5, 2, {{1, 0, 10}, {2, 5, 9}}};
  sent.fragment_keys = {"aa", "bb"};
  sent.filter = "x > 1";
  sent.with_deleted_rows = true;
  sent.only_listed_rows = true;
  sent.rows = {3, 8};
  sent.fragment_rows = {10, 50};
  sent.data_files = {"leman-a.lance", ""};
  const auto got = std::get<AssignMessage>(RoundTrip(sent));
  EXPECT_EQ(got.task.pieces, sent.task.pieces);
  EXPECT_EQ(got.task.attempt, 2);
  EXPECT_EQ(got.fragment_keys, sent.fragment_keys);
  EXPECT_EQ(got.filter, "x > 1");
  EXPECT_TRUE(got.with_deleted_rows);
  EXPECT_TRUE(got.only_listed_rows);
  EXPECT_EQ(got.rows, (std::vector<int64_t>{3, 8}));
  EXPECT_EQ(got.fragment_rows, (std::vector<int64_t>{10, 50}));
  EXPECT_EQ(got.data_files, sent.data_files);
}

TEST(Message, SetupSurvivesTheWire) {
  SetupMessage sent;
  sent.name = "w";
  sent.rows_in_flight = 64;
  sent.checkpoint_rows = 7;
  sent.beat_ns = 11;
  sent.lease_ns = 12;
  sent.host_payload = std::string("\0pickle\xff", 8);
  const auto got = std::get<SetupMessage>(RoundTrip(sent));
  EXPECT_EQ(got.rows_in_flight, 64);
  EXPECT_EQ(got.checkpoint_rows, 7);
  EXPECT_FALSE(got.min_checkpoint_rows.has_value());
  EXPECT_EQ(got.beat_ns, 11);
  EXPECT_EQ(got.lease_ns, 12);
  EXPECT_EQ(got.host_payload, sent.host_payload);
}

TEST(Message, HelloAndBeatSurviveTheWire) {
  const auto got = std::get<HelloMessage>(RoundTrip(HelloMessage{kProtocolVersion, 7, 3, "node", "leman 0.1.0"}));
  EXPECT_EQ(got.pid, 7);
  EXPECT_EQ(got.worker, 3);
  EXPECT_EQ(got.node, "node");
  EXPECT_EQ(got.versions, "leman 0.1.0");
  EXPECT_TRUE(std::holds_alternative<BeatMessage>(RoundTrip(BeatMessage{})));
}

TEST(Message, OutcomesSurviveTheWire) {
  CheckpointDone done{3, 1, {4, 10, 20}, "file", 10, 999, {1, 2, 3, 4, 5}, {{4, 12, "ValueError", "bad", "trace", 2}}};
  const auto got = std::get<CheckpointDone>(RoundTrip(done));
  EXPECT_EQ(got.range, done.range);
  EXPECT_EQ(got.times.write_ns, 3);
  ASSERT_EQ(got.skipped.size(), 1U);
  EXPECT_EQ(got.skipped[0].row, 12);
  EXPECT_EQ(got.skipped[0].traceback, "trace");
  const auto failed = std::get<TaskFailed>(RoundTrip(TaskFailed{1, 1, {ErrorKind::kUserFunction, "m"}, {1, 2, 3}}));
  EXPECT_EQ(failed.error.kind, ErrorKind::kUserFunction);
  EXPECT_EQ(failed.where, (RowRange{1, 2, 3}));
}

TEST(Message, WhatEndsARowSurvivesTheWire) {
  AssignMessage sent;
  sent.task = Task{5, 2, {{1, 7, 8}}};
  sent.fragment_keys = {"aa"};
  sent.task.given_up = RowFailure{"WorkerCrashError", "signal 11", 4};
  const auto got = std::get<AssignMessage>(RoundTrip(sent));
  ASSERT_TRUE(got.task.given_up.has_value());
  EXPECT_EQ(got.task.given_up->error_type, "WorkerCrashError");
  EXPECT_EQ(got.task.given_up->message, "signal 11");
  EXPECT_EQ(got.task.given_up->attempts, 4);
  const auto stuck = std::get<StuckMessage>(RoundTrip(StuckMessage{5, 2, {1, 7, 8}, "FunctionTimeoutError", "slow"}));
  EXPECT_EQ(stuck.rows, (RowRange{1, 7, 8}));
  EXPECT_EQ(stuck.error_type, "FunctionTimeoutError");
  EXPECT_EQ(stuck.reason, "slow");
}

TEST(Message, TruncatedAndOverlongPayloadsAreRefused) {
  const std::string frame = EncodeFrame(AssignMessage{Task{5, 2, {{1, 0, 10}}}, {"key"}, "f", false});
  const auto type = static_cast<uint8_t>(frame[4]);
  const std::string payload = frame.substr(kFrameHeaderBytes);
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(DecodePayload(type, payload.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodePayload(type, payload + "x").ok());
  EXPECT_FALSE(DecodePayload(200, payload).ok());
}

TEST(FrameParser, WaitsForWholeFramesAndRefusesHugeOnes) {
  FrameParser parser;
  const std::string two = EncodeFrame(ReadyMessage{}) + EncodeFrame(ProgressMessage{1, 1, 5});
  int messages = 0;
  for (const char byte : two) {
    parser.Append({&byte, 1});
    messages += static_cast<int>(parser.Next()->size());
  }
  EXPECT_EQ(messages, 2);
  FrameParser other;
  other.Append(std::string("\xff\xff\xff\xff\x01", 5));
  EXPECT_FALSE(other.Next().ok());
}

TEST(Channel, CarriesLargeMessagesBothWaysAndNoticesTheEnd) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ServerChannel server(fds[0]);
  SetupMessage setup;
  setup.host_payload = std::string(5 << 20, 'x');
  server.Send(setup);
  EXPECT_TRUE(server.wants_write());
  std::thread worker([fd = fds[1]] {
    ClientChannel client(fd);
    const auto got = client.Receive();
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(std::get<SetupMessage>(*got).host_payload.size(), size_t{5 << 20});
    ASSERT_TRUE(client.Send(ReadyMessage{}).ok());
  });
  bool closed = false;
  std::vector<Message> received;
  while (!closed) {
    server.Flush();
    const auto more = server.Receive(&closed);
    ASSERT_TRUE(more.ok());
    received.insert(received.end(), more->begin(), more->end());
  }
  worker.join();
  ASSERT_EQ(received.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<ReadyMessage>(received[0]));
}

}  // namespace
}  // namespace leman
