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

// sigmoid(x) to 2^-17 of its value, for results of half types.
__device__ inline float sigmoid_coarse(float x) {
  const float e = fast_exp2(::fabsf(x) * -1.4426950408889634f), r = fast_reciprocal(1.0f + e);
  return x < 0.0f ? e * r : r;
}
// (1 + tanh u) / 2 = sigmoid(2 u), by which gelu's approximation multiplies x: u = sqrt(2 / pi) (x + 0.044715 x^3).
__device__ inline float tanh_cdf_coarse(float x) {
  return sigmoid_coarse(x * ::fmaf(x * x, 0.071354816f, 1.5957691216f));
}

// tanh(x) to 2^-17 of its value, likewise.
__device__ inline float tanh_coarse(float x) {
  const float e = fast_exp2(::fabsf(x) * -2.8853900817779268f);
  return ::fabsf(x) < 0.01f ? x : ::copysignf((1.0f - e) * fast_reciprocal(1.0f + e), x);
}

// (1 + erf(x / sqrt 2)) / 2 to 4e-5 of its value, likewise: x times it is within 0.6 ulp for every x of bfloat16 and of
// float16. The tail, of z = |x|, is t exp(P(t) - z^2 / 2) with t = 1 / (1 + k z), P and k fitted over z in [0, 15]. In
// powers of 2, and of s = t / 2^24, so that the exponential is 2^24 times as large: tails below 2^-126 are not lost.
__device__ inline float normal_cdf_coarse(float x) {
  constexpr double k = 0.262, log2_e = 1.4426950408889634;
  const float s = fast_reciprocal(::fmaf(::fabsf(x), static_cast<float>(k * 0x1p24), 0x1p24f));
  float p = static_cast<float>(-0.37415037 * log2_e * 0x1p96);
  p = ::fmaf(p, s, static_cast<float>(0.70575397 * log2_e * 0x1p72));
  p = ::fmaf(p, s, static_cast<float>(0.18350820 * log2_e * 0x1p48));
  p = ::fmaf(p, s, static_cast<float>(1.05447861 * log2_e * 0x1p24));
  p = ::fmaf(p, s, static_cast<float>(-2.26277374 * log2_e + 24));
  const float tail = s * fast_exp2(::fmaf(x * x, static_cast<float>(-0.5 * log2_e), p));
  return x < 0.0f ? tail : 1.0f - tail;
}

}  // namespace pynn::cuda::math
