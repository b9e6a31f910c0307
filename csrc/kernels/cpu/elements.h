// elements.h -- single elements of any dtype: loops by dtype or by size, and their arithmetic.
#pragma once
#include <type_traits>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {

struct Bytes16 {
  uint64_t part[2];
};

// f(S{}) for the type of that dtype.
template <class F>
PYNN_INLINE void by_dtype(DType dtype, F f) {
  switch (dtype) {
#define PYNN_CASE(T, name) \
  case DType::name:        \
    return f(T{});
    PYNN_FOR_EACH_DTYPE(PYNN_CASE)
#undef PYNN_CASE
  }
}

// f(E{}) for some type of that size: enough for moves.
template <class F>
PYNN_INLINE void by_size(DType dtype, F f) {
  switch (item_size(dtype)) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return f(Bytes16{});
  }
}

template <class S>
constexpr bool kIsComplex = std::is_same_v<S, Complex64> || std::is_same_v<S, Complex128>;

template <class S>
PYNN_INLINE bool is_nonzero(S x) {
  if constexpr (kIsComplex<S>)
    return x.re != 0 || x.im != 0;
  else
    return x != S(0);
}

// Integers wrap, bool: or.
template <class S>
PYNN_INLINE S sum_of(S a, S b) {
  if constexpr (kIsComplex<S>)
    return {a.re + b.re, a.im + b.im};
  else if constexpr (std::is_same_v<S, bool>)
    return a || b;
  else if constexpr (std::is_integral_v<S>)
    return static_cast<S>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return static_cast<S>(a + b);
}
template <class S>
PYNN_INLINE S product_of(S a, S b) {
  if constexpr (kIsComplex<S>)
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  else if constexpr (std::is_same_v<S, bool>)
    return a && b;
  else if constexpr (std::is_integral_v<S>)
    return static_cast<S>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return static_cast<S>(a * b);
}
// The larger (smaller) one; NaN wins.
template <bool kMax, class S>
PYNN_INLINE S extreme_of(S a, S b) {
  return a != a || (kMax ? b <= a : b >= a) ? a : b;
}

}  // namespace PYNN_CPU_NAMESPACE
