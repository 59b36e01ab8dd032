#include "base/clock.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <thread>

namespace leman {

int64_t SystemClock::MonotonicNs() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int64_t SystemClock::UnixMicros() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void SystemClock::SleepNs(int64_t ns) { std::this_thread::sleep_for(std::chrono::nanoseconds(ns)); }

std::string FormatUtc(int64_t unix_micros) {
  const auto seconds = static_cast<std::time_t>(unix_micros / 1000000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(unix_micros / 1000 % 1000));
  return std::string(text.data(), n) + fraction.data();
}

}  // namespace leman
