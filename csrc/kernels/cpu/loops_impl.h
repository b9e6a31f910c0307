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
struct BinaryFn;  // may have Plain, a shorter formula for usual parameters, which is_plain() tells
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

#define PYNN_UNARY_LOOP(op, S) template bool unary_loop<Unary::op, S>(const LoopArgs&);
#define PYNN_BINARY_LOOP(op, S) template bool binary_loop<Binary::op, S>(const LoopArgs&);
#define PYNN_TERNARY_LOOP(op, S) template bool ternary_loop<Ternary::op, S>(const LoopArgs&);
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
bool unary_loop(const LoopArgs& args) {
  using Fn = typename UnaryFnOf<op, S>::type;
  const Fn f(args.p);
  each_row<2>(args, [&](void* const* at, int64_t n) __attribute__((always_inline)) {
    void* y = at[0];
    const S* x = static_cast<const S*>(at[1]);
    if constexpr (Fn::kLong)
      each_long<1>(static_cast<S*>(y), {x}, {1}, n, f);
    else
      each<Vec<Wide<S>>::kSize>(
          n, [=](int64_t i) __attribute__((always_inline)) { put<S>(y, i, f(load_wide(x + i))); },
          [=](int64_t i, int64_t left)
              __attribute__((always_inline)) { put<S>(y, i, f(load_wide(x + i, left)), left); });
  });
  return true;
}

// A register's worth of memory.
template <class S>
struct alignas(PYNN_VEC_BYTES) Lanes {
  S of[Vec<Wide<S>>::kSize];
};

// An operand; one that is one element for all becomes lanes that the loop does not advance through. They stand outside,
// since the compiler keeps a struct that points into itself in memory.
template <class S>
struct Source {
  const S* p;
  int64_t step;

  PYNN_INLINE Source(const void* operand, int64_t operand_step, Lanes<S>& same)
      : p(static_cast<const S*>(operand)), step(1) {
    if (operand_step == 0) {
      store_wide(same.of, Vec<Wide<S>>(static_cast<Wide<S>>(*p)));
      p = same.of;
      step = 0;
    }
  }
  PYNN_INLINE Vec<Wide<S>> at(int64_t i) const { return load_wide(p + i * step); }
  PYNN_INLINE Vec<Wide<S>> at(int64_t i, int64_t n) const { return load_wide(p + i * step, n); }
};

template <bool is_long, class S, class F>
PYNN_INLINE bool binary_rows(const LoopArgs& args, F f) {
  const int64_t a_step = args.steps[1], b_step = args.steps[2];
  Lanes<S> same_a, same_b;
  each_row<3>(args, [&](void* const* at, int64_t n) __attribute__((always_inline)) {
    void* y = at[0];
    const Source<S> a(at[1], a_step, same_a), b(at[2], b_step, same_b);
    if constexpr (is_long)
      each_long<2>(static_cast<S*>(y), {a.p, b.p}, {a.step, b.step}, n, f);
    else
      each<Vec<Wide<S>>::kSize>(
          n, [&](int64_t i) __attribute__((always_inline)) { put<S>(y, i, f(a.at(i), b.at(i))); },
          [&](int64_t i, int64_t left)
              __attribute__((always_inline)) { put<S>(y, i, f(a.at(i, left), b.at(i, left)), left); });
  });
  return true;
}

template <Binary op, class S>
bool binary_loop(const LoopArgs& args) {
  using Fn = BinaryFn<op, Wide<S>>;
  if constexpr (requires { typename Fn::Plain; })
    if (Fn::is_plain(args.p)) return binary_rows<false, S>(args, typename Fn::Plain());
  return binary_rows<Fn::kLong, S>(args, Fn(args.p));
}

template <Ternary op, class S>
bool ternary_loop(const LoopArgs& args) {
  const TernaryFn<op, Wide<S>> f(args.p);
  const int64_t a_step = args.steps[1], b_step = args.steps[2], c_step = args.steps[3];
  Lanes<S> same_a, same_b, same_c;
  each_row<4>(args, [&](void* const* at, int64_t n) __attribute__((always_inline)) {
    void* y = at[0];
    const Source<S> a(at[1], a_step, same_a), b(at[2], b_step, same_b), c(at[3], c_step, same_c);
    each<Vec<Wide<S>>::kSize>(
        n, [&](int64_t i) __attribute__((always_inline)) { put<S>(y, i, f(a.at(i), b.at(i), c.at(i))); },
        [&](int64_t i, int64_t left)
            __attribute__((always_inline)) { put<S>(y, i, f(a.at(i, left), b.at(i, left), c.at(i, left)), left); });
  });
  return true;
}

}  // namespace PYNN_CPU_NAMESPACE
