// A library of native UDFs of every kind, for the tests.
#include <leman/udf.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

LEMAN_UDF(plus_one, [](int64_t x) noexcept -> int64_t { return x + 1; });
LEMAN_UDF(word_count, [](std::string_view text) -> int32_t {
  int32_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    words += !space && !inside ? 1 : 0;
    inside = !space;
  }
  return words;
});
LEMAN_UDF(is_long,
          [](std::string_view text, int64_t limit) -> bool { return static_cast<int64_t>(text.size()) > limit; });
LEMAN_UDF(shout, [](std::string text) -> std::string { return text + "!"; });
LEMAN_UDF(or_zero, [](std::optional<double> x) -> double { return x.value_or(0.0); });
LEMAN_UDF(root, [](double x) -> std::optional<double> {
  if (x < 0) return std::nullopt;
  return std::sqrt(x);
});
LEMAN_UDF(mean, [](std::span<const float> values) -> float {
  if (values.empty()) throw std::invalid_argument("an empty list has no mean");
  float sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<float>(values.size());
});
LEMAN_UDF(halves, [](int32_t n) -> std::vector<int32_t> {
  std::vector<int32_t> values;
  for (; n > 0; n /= 2) values.push_back(n);
  return values;
});
LEMAN_UDF(pair, [](float x) -> std::array<float, 2> { return {x, -x}; });
LEMAN_UDF(
    size,
    [](std::string_view text) -> std::tuple<leman::udf::Field<"bytes", int64_t>, leman::udf::Field<"empty", bool>> {
      return {static_cast<int64_t>(text.size()), text.empty()};
    });
LEMAN_UDF(reverse_bytes, [](leman::udf::Bytes data) -> leman::udf::OwnedBytes {
  return {std::string(data.data.rbegin(), data.data.rend())};
});
LEMAN_UDF_BATCH(running_sum, [](leman::udf::Column<int64_t> x) -> std::vector<int64_t> {
  std::vector<int64_t> sums;
  int64_t sum = 0;
  for (int64_t row = 0; row < x.size(); ++row) sums.push_back(sum += x.is_null(row) ? 0 : x[row]);
  return sums;
});
LEMAN_UDF_BATCH(too_short, [](leman::udf::Column<int64_t>) -> std::vector<int64_t> { return {}; });
LEMAN_UDF_BATCH(roots, [](leman::udf::Column<double> x) -> std::vector<std::string> {
  std::vector<std::string> roots;
  for (int64_t row = 0; row < x.size(); ++row) {
    if (x[row] < 0) throw std::domain_error("no root of " + std::to_string(x[row]));
    roots.push_back(std::to_string(static_cast<int64_t>(std::sqrt(x[row]))));
  }
  return roots;
});

namespace {

// Every way to fail that is not a crash, one a number.
int64_t FailBy(int64_t x) {
  switch (x) {
    case 1:
      throw std::runtime_error("cannot take 1");
    case 2:
      throw std::runtime_error(std::string(1'000'000, 'm'));
    case 3:
      throw std::runtime_error("not \xff\xfe text");
    case 4:
      throw 42;  // NOLINT: not an exception, and allowed all the same.
    case 5:
      throw std::runtime_error("");
    default:
      return x * 10;
  }
}

}  // namespace
LEMAN_UDF(fail_by, [](int64_t x) -> int64_t { return FailBy(x); });
LEMAN_UDF_BATCH(fail_by_batch, [](leman::udf::Column<int64_t> x) -> std::vector<int64_t> {
  std::vector<int64_t> values;
  for (int64_t row = 0; row < x.size(); ++row) values.push_back(FailBy(x[row]));
  return values;
});

namespace {

// 7 takes a minute, more than any test waits.
int64_t StuckOnSeven(int64_t x) {
  if (x == 7) std::this_thread::sleep_for(std::chrono::minutes(1));
  return x * 10;
}

}  // namespace
LEMAN_UDF(stuck_on_seven, [](int64_t x) noexcept -> int64_t { return StuckOnSeven(x); });
LEMAN_UDF_BATCH(stuck_on_seven_batch, [](leman::udf::Column<int64_t> x) -> std::vector<int64_t> {
  std::vector<int64_t> values;
  for (int64_t row = 0; row < x.size(); ++row) values.push_back(StuckOnSeven(x[row]));
  return values;
});
// What a function of whole columns sees: texts, lists and numbers of all its rows, in each row.
LEMAN_UDF_BATCH(all_seen,
                [](leman::udf::Column<std::optional<std::string_view>> text,
                   leman::udf::Column<std::span<const float>> vector,
                   leman::udf::Column<bool> flag) -> std::vector<std::string> {
                  std::string seen;
                  for (int64_t row = 0; row < text.size(); ++row) {
                    seen += std::string(text[row].value_or("null")) + (flag[row] ? "+" : "-");
                    for (const float value : vector[row]) seen += std::to_string(static_cast<int>(value));
                    seen += " ";
                  }
                  return std::vector<std::string>(static_cast<size_t>(text.size()), seen);
                });
LEMAN_UDF(initials, [](std::string_view text) {
  return leman::udf::Written{text.size(), [text](char* out) -> size_t {
                               size_t size = 0;
                               for (size_t i = 0; i < text.size(); ++i) {
                                 if (text[i] != ' ' && (i == 0 || text[i - 1] == ' ')) out[size++] = text[i];
                               }
                               return size;
                             }};
});

namespace {

// Where calls wait for each other: two of them have to be inside at once.
class MeetingPoint {
 public:
  bool Meet() {
    std::unique_lock lock(mutex_);
    ++inside_;
    arrived_.notify_all();
    return arrived_.wait_for(lock, std::chrono::seconds(30), [this] { return inside_ >= 2; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  int inside_ = 0;
};
MeetingPoint meeting_point;

}  // namespace

// Whether another thread was inside together with the first call of this one.
LEMAN_UDF(meets_another, [](int64_t) -> bool {
  thread_local const bool met = meeting_point.Meet();
  return met;
});

namespace {

class Scale {
 public:
  explicit Scale(std::string_view parameters) {
    const size_t at = parameters.find("\"by\":");
    if (at == std::string_view::npos) throw leman::udf::InvalidArgument("the parameter by is missing");
    by_ = std::strtod(parameters.data() + at + 5, nullptr);
  }
  Scale(const Scale&) = delete;
  Scale& operator=(const Scale&) = delete;
  double operator()(double x) { return x * by_; }

 private:
  double by_ = 1;
};

// Tells how it was called by what it adds.
class Adding {
 public:
  explicit Adding(std::string_view) {}
  int64_t operator()(int64_t x) const { return x + 1; }
  bool All(const leman::udf::Column<int64_t>& xs, leman::udf::Results<int64_t>& sums) const {
    if (xs[0] == 13) throw std::runtime_error("13 at the begin");
    for (int64_t row = 0; row < xs.size(); ++row) sums.Set(row, xs[row] + 1000);
    return xs[0] >= 0;
  }
};

}  // namespace

LEMAN_UDF_CLASS(adding, Adding, x);
LEMAN_UDF_CLASS(scale, Scale, x);
