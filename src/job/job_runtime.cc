#include "job/job_runtime.h"

#include <random>

#include "job/background.h"

namespace leman {
namespace {

class OperatingSystem final : public JobRuntime {
 public:
  void Wait(std::vector<pollfd>& polled, int timeout_ms) override { ::poll(polled.data(), polled.size(), timeout_ms); }
  std::unique_ptr<BackgroundWork> StartThreads(int threads) override {
    return std::make_unique<BackgroundThreads>(threads);
  }
  uint64_t RandomBits() override {
    std::random_device random;
    return (uint64_t{random()} << 32) | random();
  }
};

}  // namespace

JobRuntime& SystemRuntime() {
  static OperatingSystem system;
  return system;
}

}  // namespace leman
