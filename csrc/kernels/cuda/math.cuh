// math.cuh -- the functions of one real number that kernels call, by type: math::exp(float) is expf.
#pragma once
#include <cmath>

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda::math {

#define PYNN_MATH(name)                                          \
  __device__ inline float name(float x) { return ::name##f(x); } \
  __device__ inline double name(double x) { return ::name(x); }
PYNN_MATH(exp)
PYNN_MATH(exp2)
PYNN_MATH(expm1)
PYNN_MATH(log)
PYNN_MATH(log2)
PYNN_MATH(log10)
PYNN_MATH(log1p)
PYNN_MATH(sin)
PYNN_MATH(cos)
PYNN_MATH(tan)
PYNN_MATH(asin)
PYNN_MATH(acos)
PYNN_MATH(atan)
PYNN_MATH(sinh)
PYNN_MATH(cosh)
PYNN_MATH(tanh)
PYNN_MATH(asinh)
PYNN_MATH(acosh)
PYNN_MATH(atanh)
PYNN_MATH(erf)
PYNN_MATH(erfc)
PYNN_MATH(sqrt)
PYNN_MATH(floor)
PYNN_MATH(ceil)
PYNN_MATH(rint)
PYNN_MATH(trunc)
PYNN_MATH(fabs)
#undef PYNN_MATH
#define PYNN_MATH(name)                                                      \
  __device__ inline float name(float a, float b) { return ::name##f(a, b); } \
  __device__ inline double name(double a, double b) { return ::name(a, b); }
PYNN_MATH(pow)
PYNN_MATH(atan2)
PYNN_MATH(fmod)
PYNN_MATH(copysign)
PYNN_MATH(hypot)
PYNN_MATH(nextafter)
#undef PYNN_MATH
__device__ inline float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
__device__ inline double fma(double a, double b, double c) { return ::fma(a, b, c); }

__device__ inline void sincospi(float x, float& sine, float& cosine) {
#ifdef PYNN_CUDA_EMULATED
  sine = ::sinf(3.14159265358979323846f * x), cosine = ::cosf(3.14159265358979323846f * x);
#else
  ::sincospif(x, &sine, &cosine);
#endif
}
__device__ inline void sincospi(double x, double& sine, double& cosine) {
#ifdef PYNN_CUDA_EMULATED
  sine = ::sin(3.14159265358979323846 * x), cosine = ::cos(3.14159265358979323846 * x);
#else
  ::sincospi(x, &sine, &cosine);
#endif
}

// Integers wrap around.
template <class C>
__device__ inline C add(C a, C b) {
  if constexpr (std::is_integral_v<C>)
    return static_cast<C>(static_cast<std::make_unsigned_t<C>>(a) + static_cast<std::make_unsigned_t<C>>(b));
  else
    return a + b;
}
template <class C>
__device__ inline C subtract(C a, C b) {
  if constexpr (std::is_integral_v<C>)
    return static_cast<C>(static_cast<std::make_unsigned_t<C>>(a) - static_cast<std::make_unsigned_t<C>>(b));
  else
    return a - b;
}
template <class C>
__device__ inline C multiply(C a, C b) {
  if constexpr (std::is_integral_v<C>)
    return static_cast<C>(static_cast<std::make_unsigned_t<C>>(a) * static_cast<std::make_unsigned_t<C>>(b));
  else
    return a * b;
}

template <class C>
__device__ inline C sigmoid(C x) {
  return C(1) / (C(1) + exp(-x));
}
// (1 + erf(x / sqrt 2)) / 2
template <class C>
__device__ inline C normal_cdf(C x) {
  return C(0.5) * erfc(x * C(-0.70710678118654752440));
}

// To 2 ulp, one instruction each. Results below 2^-126 are 0.
#ifdef PYNN_CUDA_EMULATED
__device__ inline float fast_reciprocal(float x) { return 1.0f / x; }
__device__ inline float fast_exp2(float x) { return ::exp2f(x); }
#else
__device__ inline float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif

// (1 + erf(x / sqrt 2)) / 2 to 2e-5 of its value, for results of half types: x times it is within 1 ulp for every x of
// bfloat16 and of float16. With z = |x| / sqrt 2 the tail is erfc(z) / 2 = t exp(P(t) - z^2) / 2, t = 1 / (1 + z / 2),
// P fitted to 8e-6 over z in [0, 10.5], here in powers of 2. Its exponential is taken 2^24 times as large, so that
// tails below 2^-126 are not lost.
__device__ inline float normal_cdf_coarse(float x) {
  constexpr double log2_e = 1.4426950408889634;
  const float t = fast_reciprocal(::fmaf(::fabsf(x), 0.35355339059327376f, 1.0f));
  float p = static_cast<float>(0.22881732 * log2_e);
  p = ::fmaf(p, t, static_cast<float>(-0.7092675 * log2_e));
  p = ::fmaf(p, t, static_cast<float>(0.47457449 * log2_e));
  p = ::fmaf(p, t, static_cast<float>(0.25440363 * log2_e));
  p = ::fmaf(p, t, static_cast<float>(1.01802212 * log2_e));
  p = ::fmaf(p, t, static_cast<float>(-1.26654239 * log2_e + 24));
  const float tail = t * 0x1p-25f * fast_exp2(::fmaf(x * x, static_cast<float>(-0.5 * log2_e), p));
  return x < 0.0f ? tail : 1.0f - tail;
}

}  // namespace pynn::cuda::math
