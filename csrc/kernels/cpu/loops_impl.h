// loops_impl.h -- the bodies of loops.h, for the family files alone.
#pragma once
#include "kernels/cpu/loops.h"

namespace PYNN_CPU_NAMESPACE {

// What an operation computes: a struct built from the parameters, called with one Vec<T> per operand. kLong: its code
// is long enough to exist once only, see Note [Long loops].
template <Unary op, class T>
struct UnaryFn;
// Of operands of type S in memory; a half type may have a formula of its own, as exact as its results.
template <Unary op, class S>
struct UnaryFnOf {
  using type = UnaryFn<op, Wide<S>>;
};
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

#define PYNN_UNARY_LOOP(op, S) template void unary_loop<Unary::op, S>(void*, const void*, int64_t, LoopParams);
#define PYNN_BINARY_LOOP(op, S) \
  template bool binary_loop<Binary::op, S>(void*, const void*, int64_t, const void*, int64_t, int64_t, LoopParams);
#define PYNN_TERNARY_LOOP(op, S)                                                                                      \
  template void ternary_loop<Ternary::op, S>(void*, const void*, int64_t, const void*, int64_t, const void*, int64_t, \
                                             int64_t, LoopParams);
// As the classes of has_loop().
#define PYNN_FULL_LOOPS(kind, op) kind(op, float) kind(op, double)
#define PYNN_WIDE_LOOPS(kind, op) kind(op, int32_t) kind(op, int64_t)
#define PYNN_HALF_LOOPS(kind, op) kind(op, Half) kind(op, BFloat16)
#define PYNN_NARROW_LOOPS(kind, op) kind(op, int8_t) kind(op, uint8_t) kind(op, int16_t)

template <class S>
PYNN_INLINE void put(void* y, int64_t i, Vec<Wide<S>> r) {
  store_wide(static_cast<S*>(y) + i, r);
}
template <class S>
PYNN_INLINE void put(void* y, int64_t i, Vec<Wide<S>> r, int64_t n) {
  store_wide(static_cast<S*>(y) + i, r, n);
}
template <class S>
PYNN_INLINE void put(void* y, int64_t i, Mask<Wide<S>> r) {
  store_bool(static_cast<bool*>(y) + i, r);
}
template <class S>
PYNN_INLINE void put(void* y, int64_t i, Mask<Wide<S>> r, int64_t n) {
  store_bool(static_cast<bool*>(y) + i, r, n);
}

// f over [0, n) in steps of a register: `whole(i)` for full ones, `part(i, left)` for the rest.
template <int size, class Whole, class Part>
PYNN_INLINE void each(int64_t n, Whole whole, Part part) {
  int64_t i = 0;
  for (; i + size <= n; i += size) whole(i);
  if (i < n) part(i, n - i);
}

// Note [Long loops]
// A long function stands once in its loop, and the loop calls nothing, so that its many constants stay in registers
// (loading them took as long as computing): what does not fill a register goes through `rest` and the same loop again.
template <int operands, class S, class F>
PYNN_INLINE void each_long(S* y, const S* const (&x)[operands], const int64_t (&steps)[operands], int64_t n, F f) {
  constexpr int size = Vec<Wide<S>>::kSize;
  alignas(PYNN_VEC_BYTES) S rest[operands][size];
  const S* from[operands];
  for (int k = 0; k < operands; ++k) from[k] = x[k];
  const int64_t whole = n / size * size;
  int64_t count = whole;
  for (S* to = y;; to = rest[0], count = size) {
    for (int64_t i = 0; i < count; i += size) {
      if constexpr (operands == 1)
        store_wide(to + i, f(load_wide(from[0] + i)));
      else
        store_wide(to + i, f(load_wide(from[0] + i * steps[0]), load_wide(from[1] + i * steps[1])));
    }
    if (to == rest[0]) return store_wide(y + whole, load_wide(rest[0]), n - whole);
    if (whole == n) return;
    for (int k = 0; k < operands; ++k) {
      store_wide(rest[k], load_wide(x[k] + whole * steps[k], steps[k] ? n - whole : size));
      from[k] = rest[k];
    }
  }
}

template <Unary op, class S>
void unary_loop(void* y, const void* x, int64_t n, LoopParams p) {
  using Fn = typename UnaryFnOf<op, S>::type;
  const Fn f(p);
  const S* from = static_cast<const S*>(x);
  if constexpr (Fn::kLong)
    return each_long<1>(static_cast<S*>(y), {from}, {1}, n, f);
  else
    each<Vec<Wide<S>>::kSize>(
        n, [=](int64_t i) __attribute__((always_inline)) { put<S>(y, i, f(load_wide(from + i))); },
        [=](int64_t i, int64_t left)
            __attribute__((always_inline)) { put<S>(y, i, f(load_wide(from + i, left)), left); });
}

// An operand that is one element for all becomes a register's worth of memory that the loop does not advance through.
template <class S>
struct Source {
  static constexpr int kSize = Vec<Wide<S>>::kSize;
  const S* p;
  int64_t step;
  alignas(PYNN_VEC_BYTES) S same[kSize];

  PYNN_INLINE Source(const void* operand, int64_t operand_step) : p(static_cast<const S*>(operand)), step(1) {
    if (operand_step == 0) {
      store_wide(same, Vec<Wide<S>>(static_cast<Wide<S>>(*p)));
      p = same;
      step = 0;
    }
  }
  PYNN_INLINE Vec<Wide<S>> at(int64_t i) const { return load_wide(p + i * step); }
  PYNN_INLINE Vec<Wide<S>> at(int64_t i, int64_t n) const { return load_wide(p + i * step, n); }
};

template <Binary op, class S>
bool binary_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n, LoopParams p) {
  using Fn = BinaryFn<op, Wide<S>>;
  const Fn f(p);
  const Source<S> from_a(a, a_step), from_b(b, b_step);
  if constexpr (Fn::kLong)
    each_long<2>(static_cast<S*>(y), {from_a.p, from_b.p}, {from_a.step, from_b.step}, n, f);
  else
    each<Source<S>::kSize>(
        n, [&](int64_t i) __attribute__((always_inline)) { put<S>(y, i, f(from_a.at(i), from_b.at(i))); },
        [&](int64_t i, int64_t left)
            __attribute__((always_inline)) { put<S>(y, i, f(from_a.at(i, left), from_b.at(i, left)), left); });
  return true;
}

template <Ternary op, class S>
void ternary_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, const void* c, int64_t c_step,
                  int64_t n, LoopParams p) {
  const TernaryFn<op, Wide<S>> f(p);
  const Source<S> from_a(a, a_step), from_b(b, b_step), from_c(c, c_step);
  each<Source<S>::kSize>(
      n, [&](int64_t i) __attribute__((always_inline)) { put<S>(y, i, f(from_a.at(i), from_b.at(i), from_c.at(i))); },
      [&](int64_t i, int64_t left) __attribute__((always_inline)) {
        put<S>(y, i, f(from_a.at(i, left), from_b.at(i, left), from_c.at(i, left)), left);
      });
}

}  // namespace PYNN_CPU_NAMESPACE
