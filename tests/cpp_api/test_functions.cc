// Functions that the tests' jobs call.
#include <leman/udf.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

LEMAN_UDF(twice, [](int64_t x) -> int64_t { return 2 * x; });
LEMAN_UDF(thrice, [](int64_t x) -> int64_t { return 3 * x; });
LEMAN_UDF(odd_fails, [](int64_t x) -> int64_t {
  if (x % 2 == 1) throw std::invalid_argument("x is odd: " + std::to_string(x));
  return x;
});
LEMAN_UDF(seven_crashes, [](int64_t x) -> int64_t {
  if (x == 7) std::abort();
  return x;
});
LEMAN_UDF(half_and_rest, [](int64_t x) {
  using leman::udf::Field;
  return std::tuple<Field<"half", int64_t>, Field<"rest", bool>>(x / 2, x % 2 == 1);
});
/// 1 where the program of the worker is a Python, -x else.
LEMAN_UDF(is_in_python, [](int64_t x) -> int64_t {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string program(path, length > 0 ? static_cast<size_t>(length) : 0);
  return program.find("/python", program.rfind('/')) != std::string::npos ? 1 : -x;
});

namespace {

// Waits until a file is there, from row 500 on; parameters: {"file": "..."}.
class WaitsForFile {
 public:
  explicit WaitsForFile(std::string_view parameters) {
    const size_t begin = parameters.find(": \"");
    const size_t end = parameters.rfind('"');
    if (begin == std::string_view::npos || end <= begin + 3) throw leman::udf::InvalidArgument("file is missing");
    file_ = std::string(parameters.substr(begin + 3, end - begin - 3));
  }
  int64_t operator()(int64_t x) {
    while (x >= 500 && ::access(file_.c_str(), F_OK) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return x;
  }

 private:
  std::string file_;
};

}  // namespace

LEMAN_UDF_CLASS(waits_for_file, WaitsForFile, x);
