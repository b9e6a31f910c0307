#include "ops/element.h"

#include <limits>
#include <type_traits>

#include "ops/assign.h"

namespace pynn::ops {
namespace {

[[noreturn]] void overflow(const char* op, DType type, Scalar value) {
  if (value.is_float())
    fail(ErrorKind::Runtime, op, ": value cannot be converted to type ", dtype_name(type), " without overflow, got ",
         value.to_double());
  fail(ErrorKind::Runtime, op, ": value cannot be converted to type ", dtype_name(type), " without overflow, got ",
       value.to_int());
}

template <class T>
void store(const char* op, void* to, DType type, Scalar value) {
  T out;
  if constexpr (std::is_same_v<T, bool>) {
    out = value.to_bool();
  } else if constexpr (std::is_integral_v<T>) {
    constexpr int64_t high = std::numeric_limits<T>::max();
    constexpr int64_t low = std::is_signed_v<T> ? std::numeric_limits<T>::min() : -high;
    if (value.is_float()) {
      const double f = value.to_double();
      // Above 2^63 - 1 the bound itself rounds up.
      constexpr int64_t least = std::numeric_limits<T>::min();  // no wrapping of fractions
      if (!(f >= static_cast<double>(least)) || !(sizeof(T) == 8 ? f < 0x1p63 : f <= static_cast<double>(high)))
        overflow(op, type, value);
    } else if (value.to_int() < low || value.to_int() > high) {
      overflow(op, type, value);
    }
    out = static_cast<T>(value.to_int());
  } else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) {
    const Complex128 z = value.to_complex();
    out = {static_cast<decltype(out.re)>(z.re), static_cast<decltype(out.im)>(z.im)};
  } else if constexpr (std::is_same_v<T, double>) {
    out = value.to_double();
  } else {
    out = static_cast<T>(static_cast<float>(value.to_double()));
  }
  *static_cast<T*>(to) = out;
}

}  // namespace

void store_element(const char* op, void* to, DType type, Scalar value) {
  switch (type) {
#define PYNN_CASE(T, name) \
  case DType::name:        \
    return store<T>(op, to, type, value);
    PYNN_FOR_EACH_DTYPE(PYNN_CASE)
#undef PYNN_CASE
  }
}

Scalar as_element(const char* op, Scalar value, DType type) {
  if (!is_integral(type)) return value;
  int64_t cell = 0;
  store_element(op, &cell, type, value);
  switch (type) {
    case DType::Int64:
      return cell;
    case DType::Int32:
      return int64_t{static_cast<int32_t>(cell)};
    case DType::Int16:
      return int64_t{static_cast<int16_t>(cell)};
    case DType::Int8:
      return int64_t{static_cast<int8_t>(cell)};
    default:
      return int64_t{static_cast<uint8_t>(cell)};
  }
}

Tensor element_tensor(const char* op, Scalar value, DType type) {
  Tensor t = empty({}, type);
  store_element(op, t.data(), type, value);
  return t;
}

Tensor element_on(Device device, const Tensor& value) {
  if (value.device() == device) return value;
  Tensor t = empty({}, value.dtype(), device);
  copy_data(t, value);
  return t;
}

}  // namespace pynn::ops
