// sizes.h -- arithmetic on sizes. std::min and its kin would leave weak symbols behind (docs/notes/isa-dispatch.md).
#pragma once
#include <cstdint>

#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {

template <class T>
PYNN_INLINE T min_of(T a, T b) {
  return b < a ? b : a;
}
template <class T>
PYNN_INLINE T max_of(T a, T b) {
  return a < b ? b : a;
}
PYNN_INLINE int64_t clamp_of(int64_t x, int64_t low, int64_t high) { return min_of(max_of(x, low), high); }
PYNN_INLINE constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
PYNN_INLINE constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace PYNN_CPU_NAMESPACE
