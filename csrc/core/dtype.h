// dtype.h -- element types, their properties, and PyTorch's promotion table.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/half.h"

namespace pynn {

// Order within a category is PyTorch's promotion order.
enum class DType : uint8_t {
  Bool,
  UInt8,
  Int8,
  Int16,
  Int32,
  Int64,
  Float16,
  BFloat16,
  Float32,
  Float64,
  Complex64,
  Complex128,
};
constexpr int kDTypes = 12;

struct Complex64 {
  float re, im;
};
struct Complex128 {
  double re, im;
};

constexpr size_t item_size(DType t) {
  constexpr uint8_t size[kDTypes] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
  return size[static_cast<int>(t)];
}
constexpr bool is_floating(DType t) { return t >= DType::Float16 && t <= DType::Float64; }
constexpr bool is_complex(DType t) { return t >= DType::Complex64; }
constexpr bool is_integral(DType t) { return t <= DType::Int64; }  // bool included
constexpr bool is_signed(DType t) { return t > DType::UInt8; }

// The type of the parts of a complex number, and the complex type whose parts are of this one (half types: Complex64).
constexpr DType real_of(DType t) {
  return t == DType::Complex64 ? DType::Float32 : t == DType::Complex128 ? DType::Float64 : t;
}
constexpr DType complex_of(DType t) {
  return t == DType::Float64 || t == DType::Complex128 ? DType::Complex128 : DType::Complex64;
}

const char* dtype_name(DType t);  // "float32"
DType promote(DType a, DType b);

template <class T>
struct DTypeOf;
// clang-format off
#define PYNN_FOR_EACH_DTYPE(F)                                                                       \
  F(bool, Bool) F(uint8_t, UInt8) F(int8_t, Int8) F(int16_t, Int16) F(int32_t, Int32)                \
  F(int64_t, Int64) F(Half, Float16) F(BFloat16, BFloat16) F(float, Float32) F(double, Float64)      \
  F(Complex64, Complex64) F(Complex128, Complex128)
// clang-format on
#define PYNN_DTYPE_OF(T, name)                  \
  template <>                                   \
  struct DTypeOf<T> {                           \
    static constexpr DType value = DType::name; \
  };
PYNN_FOR_EACH_DTYPE(PYNN_DTYPE_OF)
#undef PYNN_DTYPE_OF

}  // namespace pynn
