#include "transport/worker_listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <set>
#include <thread>

#include "base/clock.h"
#include "transport/channel.h"

namespace leman {
namespace {

const std::string kToken(kTokenBytes, 't');

std::string HelloFrame() { return EncodeFrame(HelloMessage{kProtocolVersion, 42, 7, "node-a", "leman 1"}); }

class WorkerListenerTest : public ::testing::Test {
 protected:
  WorkerListenerTest() = default;
  ~WorkerListenerTest() override {
    for (const int fd : fds_) ::close(fd);
  }
  WorkerListenerTest(const WorkerListenerTest&) = delete;
  WorkerListenerTest& operator=(const WorkerListenerTest&) = delete;

  void Open(ListenOptions options = {}) {
    options.token = kToken;
    auto opened = WorkerListener::Open(std::move(options));
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    listener_ = std::move(*opened);
  }
  // A connection that says `bytes` and stays open.
  int Say(std::string_view bytes) {
    const auto fd = ConnectTo({"127.0.0.1", listener_->port()}, 2000);
    EXPECT_TRUE(fd.ok());
    fds_.push_back(*fd);
    EXPECT_EQ(::send(*fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    return *fd;
  }
  // What a peer has to say first on a connection, whose challenge it takes: a nonce, and a proof made with `token`.
  std::string Claim(int fd, const std::string& token = kToken) {
    std::string challenge(kNonceBytes, '\0');
    for (int i = 0; i < 400; ++i) {
      EXPECT_TRUE(listener_->Poll(now_ns_).empty());
      pollfd waiting{fd, POLLIN, 0};
      if (::poll(&waiting, 1, 5) == 1) break;
    }
    EXPECT_EQ(::recv(fd, challenge.data(), challenge.size(), 0), static_cast<ssize_t>(kNonceBytes));
    challenges_.insert(challenge);
    const std::string nonce(kNonceBytes, 'n');
    return nonce + WorkerProof(token, challenge, nonce);
  }
  static void Add(int fd, std::string_view bytes) {
    ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Polls until there is an arrival or `cut_off` connections were cut off.
  std::vector<Arrival> Await(int64_t cut_off) {
    for (int i = 0; i < 400; ++i) {
      auto arrivals = listener_->Poll(now_ns_);
      for (const Arrival& arrival : arrivals) {
        if (arrival.fd >= 0) fds_.push_back(arrival.fd);
      }
      if (!arrivals.empty() || (cut_off > 0 && listener_->cut_off() >= cut_off)) return arrivals;
      pollfd waiting{listener_->fd(), POLLIN, 0};
      ::poll(&waiting, 1, 5);
    }
    return {};
  }
  // What the other end hears: the number of bytes, 0 for the end of the connection, -1 for a reset.
  static ssize_t Hear(int fd) {
    std::array<char, 64> bytes;
    return ::recv(fd, bytes.data(), bytes.size(), 0);
  }

  std::unique_ptr<WorkerListener> listener_;
  std::vector<int> fds_;
  std::set<std::string> challenges_;
  int64_t now_ns_ = 1;
};

TEST_F(WorkerListenerTest, ListensOnLoopbackUnlessTold) {
  Open();
  const int fd = Say("");
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  ASSERT_EQ(::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size), 0);
  EXPECT_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
  ListenOptions elsewhere;
  elsewhere.token = kToken;
  elsewhere.address.host = "192.0.2.1";  // TEST-NET-1: nobody's
  const auto refused = WorkerListener::Open(elsewhere);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("192.0.2.1"), std::string::npos);
}

TEST_F(WorkerListenerTest, AWorkerThatKnowsTheTokenIsLetInAndTalksOn) {
  Open();
  std::thread worker([port = listener_->port()] {
    const auto fd = DialCoordinator({{"127.0.0.1", port}, kToken});
    ASSERT_TRUE(fd.ok()) << fd.error().message;
    ClientChannel channel(*fd);
    ASSERT_TRUE(channel.Send(HelloMessage{kProtocolVersion, 42, 7, "node-a", "leman 1"}).ok());
    ASSERT_TRUE(channel.Send(ReadyMessage{}).ok());  // what follows hello is not lost
    const auto setup = channel.Receive();
    ASSERT_TRUE(setup.ok());
    EXPECT_EQ(std::get<SetupMessage>(*setup).name, "w");
  });
  auto arrivals = Await(0);
  ASSERT_EQ(arrivals.size(), 1U);
  EXPECT_EQ(arrivals[0].hello.worker, 7);
  EXPECT_EQ(arrivals[0].hello.node, "node-a");
  ServerChannel channel(arrivals[0].fd);
  fds_.pop_back();
  SetupMessage setup;
  setup.name = "w";
  channel.Send(setup);
  std::vector<Message> messages;
  bool closed = false;
  while (!closed && messages.empty()) messages = *channel.Receive(&closed);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<ReadyMessage>(messages[0]));
  worker.join();
}

TEST_F(WorkerListenerTest, BytesMayComeOneByOne) {
  Open();
  const int fd = Say("");
  const std::string all = Claim(fd) + HelloFrame();
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(::send(fd, &all[i], 1, MSG_NOSIGNAL), 1);
    if (i + 1 < all.size()) {
      EXPECT_TRUE(listener_->Poll(now_ns_).empty());
    }
  }
  EXPECT_EQ(Await(0).size(), 1U);
}

TEST_F(WorkerListenerTest, AWrongTokenIsCutOffWithoutAnAnswer) {
  Open();
  std::string last_differs = kToken;
  last_differs.back() = 'x';
  int64_t cut_off = 0;
  for (const std::string& token : {last_differs, std::string(kTokenBytes, '\0'), std::string(kTokenBytes, 'x')}) {
    const int fd = Say("");
    Add(fd, Claim(fd, token) + HelloFrame());
    EXPECT_TRUE(Await(++cut_off).empty());
    EXPECT_LE(Hear(fd), 0);
  }
  EXPECT_EQ(listener_->cut_off(), 3);
}

TEST_F(WorkerListenerTest, WhatWasOverheardOnAnotherConnectionProvesNothing) {
  Open();
  const int first = Say("");
  const std::string claim = Claim(first);
  Add(first, claim + HelloFrame());
  EXPECT_EQ(Await(0).size(), 1U);
  const int second = Say("");
  (void)Claim(second);
  Add(second, claim + HelloFrame());
  EXPECT_TRUE(Await(1).empty());
  EXPECT_LE(Hear(second), 0);
  EXPECT_EQ(challenges_.size(), 2U);
}

TEST_F(WorkerListenerTest, TheTokenIsNeverSentAndTheCoordinatorProvesThatItKnowsItToo) {
  Open();
  const int fd = Say("");
  const std::string claim = Claim(fd);
  EXPECT_EQ(claim.find(kToken), std::string::npos);
  EXPECT_EQ(claim.size(), kClaimBytes);
  Add(fd, claim);
  std::string proof(kHmacBytes, '\0');
  for (int i = 0; i < 400; ++i) {
    (void)listener_->Poll(now_ns_);
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, 5) == 1) break;
  }
  EXPECT_EQ(::recv(fd, proof.data(), proof.size(), 0), static_cast<ssize_t>(kHmacBytes));
  EXPECT_EQ(proof, CoordinatorProof(kToken, *challenges_.begin(), claim.substr(0, kNonceBytes)));
  EXPECT_NE(proof, claim.substr(kNonceBytes));
}

TEST_F(WorkerListenerTest, WhatIsNotAHelloIsRefusedWithAReason) {
  Open();
  std::string huge = HelloFrame();
  huge.replace(0, 4, "\xff\xff\xff\x7f");
  std::string malformed = HelloFrame();
  malformed[kFrameHeaderBytes + 24] = '\x7f';  // the length of its node
  HelloMessage older;
  older.protocol = 1;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {EncodeFrame(ProgressMessage{1, 1, 1}), "something else than hello"},
      {huge, "impossible size"},
      {malformed, "malformed"},
      {EncodeFrame(older), "version 1 of the protocol"},
  };
  for (const auto& [frame, reason] : cases) {
    const int fd = Say("");
    Add(fd, Claim(fd) + frame);
    const auto arrivals = Await(0);
    ASSERT_EQ(arrivals.size(), 1U) << reason;
    EXPECT_EQ(arrivals[0].fd, -1);
    EXPECT_NE(arrivals[0].refusal.find(reason), std::string::npos) << arrivals[0].refusal;
    EXPECT_EQ(Hear(fd), static_cast<ssize_t>(kHmacBytes));  // the coordinator's proof, and no more
    EXPECT_LE(Hear(fd), 0);
  }
}

TEST_F(WorkerListenerTest, WhoSaysNothingIsCutOffAfterAWhile) {
  Open();
  const int silent = Say("");
  const int half = Say("");
  Add(half, Claim(half).substr(0, 5));
  Await(0);
  EXPECT_EQ(listener_->cut_off(), 0);
  now_ns_ += ListenOptions{}.handshake_timeout_ns;
  EXPECT_TRUE(Await(2).empty());
  EXPECT_EQ(Hear(silent), static_cast<ssize_t>(kNonceBytes));  // the challenge, and no more
  EXPECT_LE(Hear(silent), 0);
  EXPECT_LE(Hear(half), 0);
}

TEST_F(WorkerListenerTest, ManyThatSayNothingDoNotKeepAWorkerOut) {
  ListenOptions options;
  options.max_handshakes = 4;
  Open(options);
  for (int i = 0; i < 20; ++i) Say("");
  EXPECT_TRUE(Await(10).empty());
  const int fd = Say("");
  Add(fd, Claim(fd) + HelloFrame());
  EXPECT_EQ(Await(0).size(), 1U);
  EXPECT_GE(listener_->cut_off(), 16);
}

TEST(DialCoordinator, SaysWhereNobodyAnswers) {
  const auto fd = DialCoordinator({{"127.0.0.1", 1}, kToken, 150});
  ASSERT_FALSE(fd.ok());
  EXPECT_NE(fd.error().message.find("127.0.0.1:1"), std::string::npos);
  EXPECT_NE(fd.error().message.find("Connection refused"), std::string::npos);
  EXPECT_FALSE(DialCoordinator({{"127.0.0.1", 1}, "short", 150}).ok());
}

TEST(DialCoordinator, TellsWhoDoesNotKnowTheTokenOrSaysNothing) {
  const auto listening = ListenOn({"127.0.0.1", 0});
  ASSERT_TRUE(listening.ok());
  DialOptions options{{"127.0.0.1", PortOf(*listening)}, kToken};
  options.proof_timeout_ms = 20;
  const auto silent = DialCoordinator(options);
  ASSERT_FALSE(silent.ok());
  EXPECT_NE(silent.error().message.find("did not answer within 20 ms"), std::string::npos) << silent.error().message;
  std::thread impostor([fd = *listening] {
    pollfd waiting{fd, POLLIN, 0};
    ::close(::accept(fd, nullptr, nullptr));  // the one above
    ASSERT_EQ(::poll(&waiting, 1, 2000), 1);
    const int peer = ::accept(fd, nullptr, nullptr);
    const std::string claims(kNonceBytes + kHmacBytes, 'x');
    EXPECT_EQ(::send(peer, claims.data(), claims.size(), MSG_NOSIGNAL), static_cast<ssize_t>(claims.size()));
    char byte = 0;
    while (::recv(peer, &byte, 1, 0) > 0) {
    }
    ::close(peer);
  });
  options.proof_timeout_ms = 2000;
  const auto fooled = DialCoordinator(options);
  impostor.join();
  ::close(*listening);
  ASSERT_FALSE(fooled.ok());
  EXPECT_NE(fooled.error().message.find("is not the coordinator of this job"), std::string::npos);
}

TEST(ClientChannel, InterruptEndsAWaitAndTimePasses) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ClientChannel channel(fds[0]);
  const auto nothing = channel.ReceiveFor(1);
  ASSERT_TRUE(nothing.ok());
  EXPECT_FALSE(nothing->has_value());
  std::thread other([&channel] { channel.Interrupt(); });
  const auto interrupted = channel.ReceiveFor(-1);
  other.join();
  ASSERT_FALSE(interrupted.ok());
  EXPECT_EQ(interrupted.error().kind, ErrorKind::kCancelled);
  ::close(fds[1]);
}

TEST(ClientChannel, ABeatNeverWaitsForAFullSocket) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  const std::string filling(1 << 16, 'x');
  while (::send(fds[0], filling.data(), filling.size(), MSG_NOSIGNAL) > 0) {
  }
  ClientChannel channel(fds[0]);
  channel.SendIfIdle(BeatMessage{});  // would hang
  ::close(fds[1]);
}

}  // namespace
}  // namespace leman
