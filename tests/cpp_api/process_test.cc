// What the library leaves alone in its process: threads, signals, locale; and what it starts.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <clocale>
#include <csignal>
#include <thread>

#include "fresh_database.h"

namespace {

using ProcessTest = FreshDatabase;
using number_stream::Read;

TEST_F(ProcessTest, ManyThreadsUseItAtOnce) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i, &done] {
      const std::string name = "t" + std::to_string(i);
      const leman::Table table = number_stream::MakeTable(db(), name, 300, 100);
      table.AddColumn("y", Function(i % 2 == 0 ? "twice" : "thrice")).value();
      leman::BackfillOptions options;
      options.concurrency = 1;
      EXPECT_EQ(table.Backfill("y", options)->rows_computed, 300);
      EXPECT_EQ(Read<int64_t>(table, "y").at(299), 299 * (2 + i % 2));
      ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, kThreads);
  EXPECT_EQ(db().TableNames()->size(), static_cast<size_t>(kThreads));
}

TEST_F(ProcessTest, OneHandleServesManyThreads) {
  const leman::Table table = Numbers(300);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 25; ++round) {
        EXPECT_EQ(table.CountRows().value(), 300);
        EXPECT_EQ(Read<int64_t>(table, "x").size(), 300U);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ProcessTest, WorkersAreTheEnvironmentsPython) {
  const leman::Table table = Numbers(10);
  table.AddColumn("y", Function("is_in_python")).value();
  table.Backfill("y").value();
  EXPECT_EQ(Read<int64_t>(table, "y"), std::vector<int64_t>(10, 1));
}

// What the program does about each signal.
std::vector<void (*)(int)> Handlers() {
  std::vector<void (*)(int)> handlers;
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction action {};
    handlers.push_back(::sigaction(number, nullptr, &action) == 0 ? action.sa_handler : nullptr);
  }
  return handlers;
}

// Before main, and so before anything was connected.
const std::vector<void (*)(int)> handlers_at_start = Handlers();

TEST_F(ProcessTest, SignalsAndLocaleAreTheProgramsOwn) {
  Numbers(10);
  EXPECT_EQ(Handlers(), handlers_at_start);
  EXPECT_STREQ(std::setlocale(LC_ALL, nullptr), "C");
  sigset_t mask;
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &mask), 0);
  EXPECT_EQ(::sigismember(&mask, SIGINT), 0);
  EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
}

std::atomic<int> interrupts{0};

TEST_F(ProcessTest, ASignalOfTheProgramReachesItsHandlerAndNotTheJob) {
  const leman::Table table = Numbers(300);
  table.AddColumn("y", Function("twice")).value();
  interrupts = 0;
  auto* const before = std::signal(SIGINT, [](int) { ++interrupts; });
  leman::BackfillOptions options;
  options.progress = [](const leman::Progress&) { ::kill(::getpid(), SIGINT); };
  const leman::Result<leman::BackfillResult> ended = table.Backfill("y", options);
  std::signal(SIGINT, before);
  ASSERT_TRUE(ended.ok()) << ended.error().message;
  EXPECT_GT(interrupts, 0);
}

TEST_F(ProcessTest, AForkedProcessIsToldSo) {
  const leman::Table table = Numbers(10);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const leman::Result<int64_t> rows = table.CountRows();
    ::_exit(!rows.ok() && rows.error().message.find("was forked") != std::string::npos && !leman::Connect("db").ok()
                ? 0
                : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(table.CountRows().value(), 10);
}

}  // namespace
