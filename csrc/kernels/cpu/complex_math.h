// complex_math.h -- kernels/complex_functions.h for the CPU: in double, by the C library.
#pragma once
#include "core/dtype.h"
#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {

using Z = Complex128;
template <class S>
using WidePair = Z;

#define PYNN_FROM_LIBRARY(name)                        \
  PYNN_INLINE Z name(Z a) {                            \
    _Complex double in;                                \
    __real__ in = a.re;                                \
    __imag__ in = a.im;                                \
    const _Complex double out = __builtin_c##name(in); \
    return {__real__ out, __imag__ out};               \
  }
PYNN_FROM_LIBRARY(exp)
PYNN_FROM_LIBRARY(log)
PYNN_FROM_LIBRARY(sqrt)
PYNN_FROM_LIBRARY(sin)
PYNN_FROM_LIBRARY(cos)
PYNN_FROM_LIBRARY(tan)
PYNN_FROM_LIBRARY(asin)
PYNN_FROM_LIBRARY(acos)
PYNN_FROM_LIBRARY(atan)
PYNN_FROM_LIBRARY(sinh)
PYNN_FROM_LIBRARY(cosh)
PYNN_FROM_LIBRARY(tanh)
PYNN_FROM_LIBRARY(asinh)
PYNN_FROM_LIBRARY(acosh)
PYNN_FROM_LIBRARY(atanh)
#undef PYNN_FROM_LIBRARY

}  // namespace PYNN_CPU_NAMESPACE

#define PYNN_COMPLEX_NAMESPACE PYNN_CPU_NAMESPACE
#define PYNN_FN PYNN_INLINE
#define PYNN_MATH(name) __builtin_##name
#include "kernels/complex_functions.h"
