// elements.cuh -- single elements of any dtype, complex included: their arithmetic, and vectors of them.
#pragma once
#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {

template <class S>
constexpr bool kIsComplex = std::is_same_v<S, Complex64> || std::is_same_v<S, Complex128>;

template <class F>
void dispatch_all(const char* op, DType dtype, F f) {
  if (dtype == DType::Complex64) return f(Complex64{});
  if (dtype == DType::Complex128) return f(Complex128{});
  dispatch_real(op, dtype, f);
}

// Of compute types. Integers wrap; bool: or, and.
template <class C>
__device__ inline C sum_of(C a, C b) {
  if constexpr (kIsComplex<C>)
    return {a.re + b.re, a.im + b.im};
  else if constexpr (std::is_same_v<C, bool>)
    return a || b;
  else if constexpr (std::is_integral_v<C>)
    return static_cast<C>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <class C>
__device__ inline C product_of(C a, C b) {
  if constexpr (kIsComplex<C>)
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  else if constexpr (std::is_same_v<C, bool>)
    return a && b;
  else if constexpr (std::is_integral_v<C>)
    return static_cast<C>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}

// i / d, in 32 bits where both fit: the 64-bit division is several times as slow.
__device__ inline int64_t divide(int64_t i, int64_t d) {
  if (((i | d) >> 32) == 0) return static_cast<uint32_t>(i) / static_cast<uint32_t>(d);
  return i / d;
}

// The widest move, of 1 to 16 bytes, that runs of `bytes` bytes at all of these addresses can be made of.
template <class... P>
size_t move_width(int64_t bytes, P... p) {
  size_t width = 16;
  while (width > 1 && (bytes % static_cast<int64_t>(width) || !(... && aligned(p, width)))) width /= 2;
  return width;
}
template <class F>
void dispatch_width(size_t width, F f) {
  switch (width) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return f(Pack<uint32_t, 4>{});
  }
}

}  // namespace pynn::cuda
