// cast.cuh -- values of any real dtype in registers: casts as the CPU's (kernels/cpu/convert.cpp), and loads and stores
// whose dtype is known at run time alone.
#pragma once
#include "core/limits.h"
#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {

template <class T>
constexpr bool kIsFloat = std::is_same_v<T, float> || std::is_same_v<T, double>;
template <class T>
constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

// A float that int32 (int64) cannot hold becomes its least value, narrower integers are cut from int32, anything but
// zero is true.
template <class To, class From>
__device__ inline To cast(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (kIsHalf<From>) {
    return cast<To>(load(x));
  } else if constexpr (kIsHalf<To>) {
    return store_as<To>(cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (kIsFloat<From> && !kIsFloat<To>) {
    using Int = std::conditional_t<sizeof(To) == 8, int64_t, int32_t>;
    constexpr From limit = sizeof(To) == 8 ? From(9223372036854775808.0) : From(2147483648.0);
    constexpr Int least = static_cast<Int>(uint64_t{1} << (8 * sizeof(Int) - 1));
    return static_cast<To>(x >= -limit && x < limit ? static_cast<Int>(x) : least);
  } else {
    return static_cast<To>(x);
  }
}

#define PYNN_FOR_EACH_REAL(F) \
  F(bool, Bool)               \
  F(uint8_t, UInt8)           \
  F(int8_t, Int8)             \
  F(int16_t, Int16)           \
  F(int32_t, Int32) F(int64_t, Int64) F(Half, Float16) F(BFloat16, BFloat16) F(float, Float32) F(double, Float64)

// Element i of an array of that dtype, which is real.
template <class C>
__device__ inline C load_real(const void* p, int64_t i, DType dtype) {
  switch (dtype) {
#define PYNN_CASE(T, name) \
  case DType::name:        \
    return cast<C>(static_cast<const T*>(p)[i]);
    PYNN_FOR_EACH_REAL(PYNN_CASE)
#undef PYNN_CASE
    default:
      return C(0);
  }
}
template <class C>
__device__ inline void store_real(void* p, int64_t i, DType dtype, C v) {
  switch (dtype) {
#define PYNN_CASE(T, name)              \
  case DType::name:                     \
    static_cast<T*>(p)[i] = cast<T>(v); \
    return;
    PYNN_FOR_EACH_REAL(PYNN_CASE)
#undef PYNN_CASE
    default:
      return;
  }
}

// The same of any dtype, complex or not; the imaginary part is lost where there is no place for it.
template <class C>
__device__ inline C load_as(const void* p, int64_t i, DType dtype) {
  if constexpr (requires(C c) { c.im; }) {
    using T = decltype(C{}.re);
    const auto pair = [&](auto z) { return C{static_cast<T>(z.re), static_cast<T>(z.im)}; };
    if (dtype == DType::Complex64) return pair(static_cast<const Complex64*>(p)[i]);
    if (dtype == DType::Complex128) return pair(static_cast<const Complex128*>(p)[i]);
    return {load_real<T>(p, i, dtype), T(0)};
  } else {
    return load_real<C>(p, i, dtype);
  }
}
template <class C>
__device__ inline void store_from(void* p, int64_t i, DType dtype, C v) {
  if constexpr (requires { v.im; }) {
    if (dtype == DType::Complex64)
      static_cast<Complex64*>(p)[i] = {static_cast<float>(v.re), static_cast<float>(v.im)};
    else if (dtype == DType::Complex128)
      static_cast<Complex128*>(p)[i] = {v.re, v.im};
    else if (dtype == DType::Bool)
      static_cast<bool*>(p)[i] = v.re != 0 || v.im != 0;
    else
      store_real(p, i, dtype, v.re);
  } else {
    store_real(p, i, dtype, v);
  }
}

// ---- From a flat index to where each of N operands has that element.

// n / d for n and d below 2^31 by a multiplication.
struct FastDivisor {
  uint32_t d = 1, multiplier = 1, shift = 0;
  FastDivisor() = default;
  explicit FastDivisor(uint32_t divisor) : d(divisor) {
    while (shift < 31 && (uint32_t{1} << shift) < d) ++shift;
    multiplier = static_cast<uint32_t>(((uint64_t{1} << 32) * ((uint64_t{1} << shift) - d)) / d + 1);
  }
  __device__ uint32_t divide(uint32_t n) const {
    const uint32_t t = static_cast<uint32_t>((static_cast<uint64_t>(n) * multiplier) >> 32);
    return (t + n) >> shift;
  }
};

// More dims, which hardly any tensor has when neighbours are joined, would make every launch's arguments longer.
constexpr int kLayoutDims = 6;

template <int N>
struct Layout {
  int ndim;  // innermost dim first, at least one
  FastDivisor sizes[kLayoutDims];
  int64_t strides[kLayoutDims][N];

  // at[k] += position of element `i` in operand k.
  __device__ void locate(uint32_t i, int64_t (&at)[N]) const {
#pragma unroll 1
    for (int d = 0; d + 1 < ndim; ++d) {
      const uint32_t q = sizes[d].divide(i), r = i - q * sizes[d].d;
      i = q;
#pragma unroll
      for (int k = 0; k < N; ++k) at[k] += static_cast<int64_t>(r) * strides[d][k];
    }
#pragma unroll
    for (int k = 0; k < N; ++k) at[k] += static_cast<int64_t>(i) * strides[ndim - 1][k];
  }
};

}  // namespace pynn::cuda
