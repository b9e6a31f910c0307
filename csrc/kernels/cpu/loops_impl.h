// loops_impl.h -- the bodies of loops.h, for the family files alone.
#pragma once
#include "kernels/cpu/loops.h"

namespace PYNN_CPU_NAMESPACE {

// What an operation computes: a struct built from the parameters, called with one Vec<T> per operand. kLong: its code
// is long enough to exist once only, rather than once for whole registers and once for the rest.
template <Unary op, class T>
struct UnaryFn;
template <Binary op, class T>
struct BinaryFn;
template <Ternary op, class T>
struct TernaryFn;

// The usual op, whose formula in x (a, b; a, b, c) and the type V of the operands has no parameters.
#define PYNN_UNARY_FN(op, is_long, ...)                     \
  template <class T>                                        \
  struct UnaryFn<Unary::op, T> {                            \
    using V = Vec<T>;                                       \
    static constexpr bool kLong = is_long;                  \
    PYNN_INLINE explicit UnaryFn(LoopParams) {}             \
    PYNN_INLINE auto operator()(V x) const { __VA_ARGS__; } \
  };
#define PYNN_UNARY(op, expr) PYNN_UNARY_FN(op, false, return expr)
#define PYNN_UNARY_LONG(op, expr) PYNN_UNARY_FN(op, true, return expr)
#define PYNN_BINARY_FN(op, is_long, ...)                         \
  template <class T>                                             \
  struct BinaryFn<Binary::op, T> {                               \
    using V = Vec<T>;                                            \
    static constexpr bool kLong = is_long;                       \
    PYNN_INLINE explicit BinaryFn(LoopParams) {}                 \
    PYNN_INLINE auto operator()(V a, V b) const { __VA_ARGS__; } \
  };
#define PYNN_BINARY(op, expr) PYNN_BINARY_FN(op, false, return expr)
#define PYNN_BINARY_LONG(op, expr) PYNN_BINARY_FN(op, true, return expr)

#define PYNN_UNARY_LOOP(op, T) template void unary_loop<Unary::op, T>(void*, const void*, int64_t, LoopParams);
#define PYNN_BINARY_LOOP(op, T) \
  template bool binary_loop<Binary::op, T>(void*, const void*, int64_t, const void*, int64_t, int64_t, LoopParams);
#define PYNN_TERNARY_LOOP(op, T)                                                                                      \
  template void ternary_loop<Ternary::op, T>(void*, const void*, int64_t, const void*, int64_t, const void*, int64_t, \
                                             int64_t, LoopParams);
#define PYNN_FLOAT_LOOPS(kind, op) kind(op, float) kind(op, double)
#define PYNN_INT_LOOPS(kind, op) kind(op, int32_t) kind(op, int64_t)
#define PYNN_ALL_LOOPS(kind, op) PYNN_FLOAT_LOOPS(kind, op) PYNN_INT_LOOPS(kind, op)

template <class T>
PYNN_INLINE void put(void* y, int64_t i, Vec<T> r) {
  r.store(static_cast<T*>(y) + i);
}
template <class T>
PYNN_INLINE void put(void* y, int64_t i, Vec<T> r, int64_t n) {
  r.store(static_cast<T*>(y) + i, n);
}
template <class T>
PYNN_INLINE void put(void* y, int64_t i, Mask<T> r) {
  store_bool(static_cast<bool*>(y) + i, r);
}
template <class T>
PYNN_INLINE void put(void* y, int64_t i, Mask<T> r, int64_t n) {
  store_bool(static_cast<bool*>(y) + i, r, n);
}

// f over [0, n) in steps of a register: `whole(i)` for full ones, `part(i, left)` for any.
template <bool is_long, int size, class Whole, class Part>
PYNN_INLINE void each(int64_t n, Whole whole, Part part) {
  int64_t i = 0;
  if constexpr (is_long) {
    for (; i < n; i += size) part(i, n - i);
  } else {
    for (; i + size <= n; i += size) whole(i);
    if (i < n) part(i, n - i);
  }
}

template <Unary op, class T>
void unary_loop(void* y, const void* x, int64_t n, LoopParams p) {
  using V = Vec<T>;
  using Fn = UnaryFn<op, T>;
  const Fn f(p);
  const T* from = static_cast<const T*>(x);
  each<Fn::kLong, V::kSize>(
      n, [=](int64_t i) __attribute__((always_inline)) { put(y, i, f(V::load(from + i))); },
      [=](int64_t i, int64_t left) __attribute__((always_inline)) { put(y, i, f(V::load(from + i, left)), left); });
}

// An operand that is one element for all becomes a register's worth of memory that the loop does not advance through.
template <class T>
struct Source {
  const T* p;
  int64_t step;
  alignas(PYNN_VEC_BYTES) T same[Vec<T>::kSize];

  PYNN_INLINE Source(const void* operand, int64_t operand_step) : p(static_cast<const T*>(operand)), step(1) {
    if (operand_step == 0) {
      Vec<T>(*p).store(same);
      p = same;
      step = 0;
    }
  }
  PYNN_INLINE Vec<T> at(int64_t i) const { return Vec<T>::load(p + i * step); }
  PYNN_INLINE Vec<T> at(int64_t i, int64_t n) const { return Vec<T>::load(p + i * step, n); }
};

template <Binary op, class T>
bool binary_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n, LoopParams p) {
  using Fn = BinaryFn<op, T>;
  const Fn f(p);
  const Source<T> from_a(a, a_step), from_b(b, b_step);
  each<Fn::kLong, Vec<T>::kSize>(
      n, [&](int64_t i) __attribute__((always_inline)) { put(y, i, f(from_a.at(i), from_b.at(i))); },
      [&](int64_t i, int64_t left)
          __attribute__((always_inline)) { put(y, i, f(from_a.at(i, left), from_b.at(i, left)), left); });
  return true;
}

template <Ternary op, class T>
void ternary_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, const void* c, int64_t c_step,
                  int64_t n, LoopParams p) {
  const TernaryFn<op, T> f(p);
  const Source<T> from_a(a, a_step), from_b(b, b_step), from_c(c, c_step);
  each<false, Vec<T>::kSize>(
      n, [&](int64_t i) __attribute__((always_inline)) { put(y, i, f(from_a.at(i), from_b.at(i), from_c.at(i))); },
      [&](int64_t i, int64_t left) __attribute__((always_inline)) {
        put(y, i, f(from_a.at(i, left), from_b.at(i, left), from_c.at(i, left)), left);
      });
}

}  // namespace PYNN_CPU_NAMESPACE
