// Readers of dates, times, timestamps and durations; the objects are those of pyarrow's to_pylist().
#include <chrono>

#include "scalar/datetime_api.h"
#include "scalar/value_reader.h"

namespace leman::python::scalar {
namespace {

struct Day {
  int year, month, day;
};

// Python's calendar: 0001-01-01 to 9999-12-31, in days since 1970-01-01.
constexpr int64_t kFirstDay = -719'162;
constexpr int64_t kLastDay = 2'932'896;

bool ToDay(int64_t days, Day* out) {
  if (days < kFirstDay || days > kLastDay) {
    PyErr_Format(PyExc_OverflowError, "the day %lld after 1970-01-01 is outside of Python's years 1 to 9999",
                 static_cast<long long>(days));
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  *out = {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day()))};
  return true;
}

struct Clock {
  int hour, minute, second, micro;
};

Clock ToClock(int64_t seconds, int64_t micros) {
  return {static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60),
          static_cast<int>(micros)};
}

class TimeReader final : public ValueReader {
 public:
  TimeReader(const ArrowType& type, const ArrowArray& array, int64_t skip)
      : ValueReader(array, skip),
        type_(type),
        values_(array.buffers[1]),
        is_narrow_(type.id == TypeId::kDate32 || type.id == TypeId::kTime32),
        api_(DateTimeApi()) {}

  PyObject* Read(int64_t row) const override {
    if (IsNull(row)) return NewNone();
    if (api_ == nullptr) {
      PyErr_SetString(PyExc_ImportError, "the datetime module has no C API");
      return nullptr;
    }
    const int64_t value = is_narrow_ ? LoadAt<int32_t>(values_, At(row)) : LoadAt<int64_t>(values_, At(row));
    switch (type_.id) {
      case TypeId::kDate32:
        return Date(value);
      case TypeId::kDate64:
        return Date(FloorDiv(value, kSecondsADay * 1000));
      case TypeId::kTimestamp:
        return Timestamp(value);
      case TypeId::kDuration:
        return Duration(value);
      default:
        return Time(value);
    }
  }

 private:
  [[nodiscard]] PyObject* Date(int64_t days) const {
    Day day{};
    if (!ToDay(days, &day)) return nullptr;
    return api_->Date_FromDate(day.year, day.month, day.day, api_->DateType);
  }

  [[nodiscard]] PyObject* Time(int64_t value) const {
    const int64_t seconds = FloorDiv(value, type_.per_second);
    if (seconds < 0 || seconds >= kSecondsADay) {
      PyErr_Format(PyExc_OverflowError, "%lld is not a time of day in %s", static_cast<long long>(value),
                   type_.text.c_str());
      return nullptr;
    }
    const Clock clock = ToClock(seconds, Micros(value, seconds));
    return api_->Time_FromTime(clock.hour, clock.minute, clock.second, clock.micro, Py_None, api_->TimeType);
  }

  [[nodiscard]] PyObject* Timestamp(int64_t value) const {
    const int64_t seconds = FloorDiv(value, type_.per_second);
    const int64_t days = FloorDiv(seconds, kSecondsADay);
    Day day{};
    if (!ToDay(days, &day)) return nullptr;
    const Clock clock = ToClock(seconds - days * kSecondsADay, Micros(value, seconds));
    PyObject* zone = type_.tzinfo ? api_->TimeZone_UTC : Py_None;
    PyObject* made = api_->DateTime_FromDateAndTime(day.year, day.month, day.day, clock.hour, clock.minute,
                                                    clock.second, clock.micro, zone, api_->DateTimeType);
    if (made == nullptr || !type_.tzinfo) return made;
    const PyRef utc = PyRef::Steal(made);
    return PyObject_CallMethod(utc.get(), "astimezone", "O", type_.tzinfo.get());
  }

  [[nodiscard]] PyObject* Duration(int64_t value) const {
    const int64_t seconds = FloorDiv(value, type_.per_second);
    const int64_t days = FloorDiv(seconds, kSecondsADay);
    if (days < -999'999'999 || days > 999'999'999) {
      PyErr_Format(PyExc_OverflowError, "%lld in %s is longer than a timedelta holds", static_cast<long long>(value),
                   type_.text.c_str());
      return nullptr;
    }
    return api_->Delta_FromDelta(static_cast<int>(days), static_cast<int>(seconds - days * kSecondsADay),
                                 static_cast<int>(Micros(value, seconds)), 0, api_->DeltaType);
  }

  // The part of `value` below a second.
  [[nodiscard]] int64_t Micros(int64_t value, int64_t seconds) const {
    return (value - seconds * type_.per_second) * (kMicrosASecond / type_.per_second);
  }

  const ArrowType& type_;
  const void* values_;
  bool is_narrow_;
  PyDateTime_CAPI* api_;
};

}  // namespace

ReaderPtr MakeTimeReader(const ArrowType& type, const ArrowArray& array, int64_t skip) {
  return std::make_unique<TimeReader>(type, array, skip);
}

}  // namespace leman::python::scalar
