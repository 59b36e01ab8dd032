// Builders of dates, times, timestamps and durations.
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

#include "scalar/array_export.h"
#include "scalar/datetime_api.h"
#include "scalar/pyarrow_bridge.h"
#include "scalar/user_exception.h"
#include "scalar/value_builder.h"

namespace leman::python::scalar {
namespace {

int64_t DaysOf(PyObject* date) {
  const std::chrono::year_month_day day{std::chrono::year{PyDateTime_GET_YEAR(date)},
                                        std::chrono::month{static_cast<unsigned>(PyDateTime_GET_MONTH(date))},
                                        std::chrono::day{static_cast<unsigned>(PyDateTime_GET_DAY(date))}};
  return std::chrono::sys_days{day}.time_since_epoch().count();
}

// A point or span of time, micros in [0, 1'000'000).
struct Moment {
  int64_t seconds, micros;
};

Moment MomentOf(PyObject* delta) {
  return {PyDateTime_DELTA_GET_DAYS(delta) * kSecondsADay + PyDateTime_DELTA_GET_SECONDS(delta),
          PyDateTime_DELTA_GET_MICROSECONDS(delta)};
}

// Units finer than the column's are dropped, rounding down, as pyarrow does.
bool ToUnits(Moment moment, const ArrowType& type, int64_t* out, Refusal* why) {
  const int64_t below = type.per_second > kMicrosASecond ? moment.micros * (type.per_second / kMicrosASecond)
                                                         : moment.micros / (kMicrosASecond / type.per_second);
  if (__builtin_mul_overflow(moment.seconds, type.per_second, out) || __builtin_add_overflow(*out, below, out)) {
    return why->Set(PyExc_OverflowError, "out of range for " + type.text);
  }
  return true;
}

class TimeBuilder final : public ValueBuilder {
 public:
  explicit TimeBuilder(const ArrowType& type)
      : type_(type), width_(type.id == TypeId::kDate32 || type.id == TypeId::kTime32 ? 4 : 8), api_(DateTimeApi()) {
    if (api_ == nullptr) PyErr_Clear();
  }

  void Reserve(int64_t rows) override { values_.Reserve((length() + rows) * width_); }

  bool Append(PyObject* value, Refusal* why) override {
    if (value == Py_None) return AppendNull(), true;
    int64_t units = 0;
    bool is_null = false;
    if (!Convert(value, &units, &is_null, why)) return false;
    if (is_null) return AppendNull(), true;
    Push(units);
    validity_.AppendValid();
    return true;
  }

  void AppendNull() override {
    Push(0);
    validity_.AppendNull();
  }

  [[nodiscard]] int64_t length() const override { return validity_.length(); }
  void Truncate(int64_t length) override { validity_.Truncate(length); }

  bool Finish(OwnedArray* out, int64_t*, Refusal*) override {
    const int64_t rows = length();
    const int64_t nulls = validity_.null_count();
    values_.Reserve(1);
    std::vector<Buffer> buffers;
    buffers.push_back(validity_.Take());
    buffers.push_back(std::move(values_));
    *out = ExportArray(rows, nulls, std::move(buffers));
    return true;
  }

 private:
  void Push(int64_t units) {
    const int64_t at = length() * width_;
    values_.Reserve(at + width_);
    if (width_ == 8) {
      std::memcpy(values_.data() + at, &units, 8);
    } else {
      const auto narrow = static_cast<int32_t>(units);
      std::memcpy(values_.data() + at, &narrow, 4);
    }
  }

  bool Convert(PyObject* value, int64_t* units, bool* is_null, Refusal* why) {
    PyTypeObject* exact = api_ == nullptr ? nullptr : Py_TYPE(value);
    switch (type_.id) {
      case TypeId::kDate32:
      case TypeId::kDate64:
        if (exact == nullptr || exact != api_->DateType) break;
        *units = DaysOf(value) * (type_.id == TypeId::kDate32 ? 1 : kSecondsADay * 1000);
        return true;
      case TypeId::kTimestamp:
        if (exact == nullptr || exact != api_->DateTimeType) break;
        return Timestamp(value, units, why);
      case TypeId::kDuration:
        if (exact == nullptr || exact != api_->DeltaType) break;
        return ToUnits(MomentOf(value), type_, units, why);
      default:
        if (exact == nullptr || exact != api_->TimeType) break;
        return ToUnits({PyDateTime_TIME_GET_HOUR(value) * 3600 + PyDateTime_TIME_GET_MINUTE(value) * 60 +
                            PyDateTime_TIME_GET_SECOND(value),
                        PyDateTime_TIME_GET_MICROSECOND(value)},
                       type_, units, why);
    }
    return Other(value, units, is_null, why);
  }

  // Naive is UTC, aware is converted to UTC: as pyarrow does.
  bool Timestamp(PyObject* value, int64_t* units, Refusal* why) {
    Moment moment{DaysOf(value) * kSecondsADay + PyDateTime_DATE_GET_HOUR(value) * 3600 +
                      PyDateTime_DATE_GET_MINUTE(value) * 60 + PyDateTime_DATE_GET_SECOND(value),
                  PyDateTime_DATE_GET_MICROSECOND(value)};
    if (PyDateTime_DATE_GET_TZINFO(value) != Py_None) {
      const PyRef offset = PyRef::Steal(PyObject_CallMethod(value, "utcoffset", nullptr));
      if (!offset) return why->FromPending("utcoffset()");
      if (offset.get() != Py_None) {
        const Moment shift = MomentOf(offset.get());
        const int64_t micros = moment.micros - shift.micros;
        moment = {moment.seconds - shift.seconds + FloorDiv(micros, kMicrosASecond),
                  micros - FloorDiv(micros, kMicrosASecond) * kMicrosASecond};
      }
    }
    return ToUnits(moment, type_, units, why);
  }

  bool Other(PyObject* value, int64_t* units, bool* is_null, Refusal* why) {
    const std::string lazy = LazyResult(value);
    if (!lazy.empty()) return why->Type(lazy);
    // pyarrow would cut its fraction off.
    if (PyFloat_Check(value)) return why->Type("a float is no point in time");
    PyRef number = IsNumpyTime(value) ? FromNumpy(value) : FromPyarrow(value);
    if (!number) return why->FromPending("converting it");
    *is_null = number.get() == Py_None;
    if (*is_null) return true;
    *units = PyLong_AsLongLong(number.get());
    if (*units == -1 && PyErr_Occurred() != nullptr) return why->FromPending("converting it");
    if (*units == std::numeric_limits<int64_t>::min() && IsNumpyTime(value)) *is_null = true;  // NaT
    return true;
  }

  [[nodiscard]] PyRef FromPyarrow(PyObject* value) const {
    const PyRef args = PyRef::Steal(PyTuple_Pack(1, value));
    const PyRef kwargs = PyRef::Steal(Py_BuildValue("{sO}", "type", type_.pyarrow_type.get()));
    if (!kwargs) return {};
    const PyRef scalar = CallModuleFunction("pyarrow", "scalar", args.get(), kwargs.get());
    return PyRef::Steal(scalar ? PyObject_GetAttrString(scalar.get(), "value") : nullptr);
  }

  // numpy.datetime64 and timedelta64; not of the kinds that hold a time of day, which numpy does not have.
  [[nodiscard]] bool IsNumpyTime(PyObject* value) const {
    if (type_.id == TypeId::kTime32 || type_.id == TypeId::kTime64) return false;
    const PyRef dtype = PyRef::Steal(PyObject_GetAttrString(value, "dtype"));
    const PyRef kind = PyRef::Steal(dtype ? PyObject_GetAttrString(dtype.get(), "kind") : nullptr);
    PyErr_Clear();
    return kind && PyUnicode_Check(kind.get()) &&
           (PyUnicode_CompareWithASCIIString(kind.get(), "M") == 0 ||
            PyUnicode_CompareWithASCIIString(kind.get(), "m") == 0);
  }

  [[nodiscard]] PyRef FromNumpy(PyObject* value) const {
    std::string target = type_.id == TypeId::kDuration ? "timedelta64[" : "datetime64[";
    if (type_.per_second == 0) {
      target += "D]";
    } else {
      target += type_.per_second == 1           ? "s]"
                : type_.per_second == 1000      ? "ms]"
                : type_.per_second == 1'000'000 ? "us]"
                                                : "ns]";
    }
    const PyRef converted = PyRef::Steal(PyObject_CallMethod(value, "astype", "s", target.c_str()));
    const PyRef integer =
        PyRef::Steal(converted ? PyObject_CallMethod(converted.get(), "astype", "s", "int64") : nullptr);
    PyRef number = PyRef::Steal(integer ? PyNumber_Index(integer.get()) : nullptr);
    if (!number || type_.id != TypeId::kDate64) return number;
    const int64_t days = PyLong_AsLongLong(number.get());
    if (days == std::numeric_limits<int64_t>::min()) return number;
    return PyRef::Steal(PyLong_FromLongLong(days * kSecondsADay * 1000));
  }

  const ArrowType& type_;
  int64_t width_;
  PyDateTime_CAPI* api_;
  Validity validity_;
  Buffer values_;
};

}  // namespace

BuilderPtr MakeTimeBuilder(const ArrowType& type) { return std::make_unique<TimeBuilder>(type); }

}  // namespace leman::python::scalar
