// vec_math.h -- elementary functions of Vec<float> and Vec<double>.
#pragma once
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {

#define PYNN_LIBM(name)                                                                                 \
  PYNN_INLINE VecF name(VecF x) {                                                                       \
    return map_lanes(x, [](float v) __attribute__((always_inline)) { return __builtin_##name##f(v); }); \
  }                                                                                                     \
  PYNN_INLINE VecD name(VecD x) {                                                                       \
    return map_lanes(x, [](double v) __attribute__((always_inline)) { return __builtin_##name(v); });   \
  }
PYNN_LIBM(exp)
PYNN_LIBM(exp2)
PYNN_LIBM(expm1)
PYNN_LIBM(log)
PYNN_LIBM(log2)
PYNN_LIBM(log10)
PYNN_LIBM(log1p)
PYNN_LIBM(sin)
PYNN_LIBM(cos)
PYNN_LIBM(tan)
PYNN_LIBM(asin)
PYNN_LIBM(acos)
PYNN_LIBM(atan)
PYNN_LIBM(sinh)
PYNN_LIBM(cosh)
PYNN_LIBM(tanh)
PYNN_LIBM(asinh)
PYNN_LIBM(acosh)
PYNN_LIBM(atanh)
PYNN_LIBM(erf)
PYNN_LIBM(erfc)

PYNN_INLINE VecF pow(VecF x, VecF y) {
  return map_lanes(x, y, [](float a, float b) __attribute__((always_inline)) { return __builtin_powf(a, b); });
}
PYNN_INLINE VecD pow(VecD x, VecD y) {
  return map_lanes(x, y, [](double a, double b) __attribute__((always_inline)) { return __builtin_pow(a, b); });
}
PYNN_INLINE VecF atan2(VecF x, VecF y) {
  return map_lanes(x, y, [](float a, float b) __attribute__((always_inline)) { return __builtin_atan2f(a, b); });
}
PYNN_INLINE VecD atan2(VecD x, VecD y) {
  return map_lanes(x, y, [](double a, double b) __attribute__((always_inline)) { return __builtin_atan2(a, b); });
}

template <class T>
PYNN_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp(-abs(x));
  return select(x < Vec<T>(0), e, Vec<T>(1)) / (Vec<T>(1) + e);
}

}  // namespace PYNN_CPU_NAMESPACE
