// row_math.h -- what softmax, cross-entropy and the norms need of one contiguous row of float or double.
//
// Sums: lanes of T over blocks of at most kRowBlock elements, added up as a tree, double beyond.
#pragma once
#include "kernels/cpu/reduce_fold.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kRowBlock = 2048;

// Where a loop along a row stands: a whole register, or the rest of the row, whose lanes beyond it load as 0.
template <class T>
struct Whole {
  using V = Vec<T>;
  int64_t i;
  PYNN_INLINE V load(const T* p) const { return V::load(p + i); }
  PYNN_INLINE void store(T* p, V v) const { v.store(p + i); }
  PYNN_INLINE V keep(V v, V) const { return v; }
};
template <class T>
struct Part {
  using V = Vec<T>;
  int64_t i, n;
  PYNN_INLINE V load(const T* p) const { return native::load_tail(p + i, static_cast<int>(n), typename V::Native{}); }
  PYNN_INLINE void store(T* p, V v) const { native::store_tail(p + i, static_cast<int>(n), v.v); }
  // v in the row, `other` beyond it.
  PYNN_INLINE V keep(V v, V other) const { return select(V::iota(T(0)) < V(static_cast<T>(n)), v, other); }
};

// f(place) for the row's registers.
template <class T, class F>
PYNN_INLINE void along(int64_t n, F f) {
  constexpr int L = Vec<T>::kSize;
  int64_t i = 0;
  for (; i + L <= n; i += L) f(Whole<T>{i});
  if (i < n) f(Part<T>{i, n - i});
}

// step(accumulator, place) over the row, in U chains side by side.
template <class T, int U, class Step, class Merge>
PYNN_INLINE Vec<T> fold_along(int64_t n, Vec<T> start, Step step, Merge merge) {
  constexpr int L = Vec<T>::kSize;
  Vec<T> acc[U];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) acc[u] = start;
  int64_t i = 0;
  for (; i + U * L <= n; i += U * L)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) acc[u] = step(acc[u], Whole<T>{i + u * L});
  for (; i + L <= n; i += L) acc[0] = step(acc[0], Whole<T>{i});
  if (i < n) acc[U > 1] = step(acc[U > 1], Part<T>{i, n - i});
#pragma GCC unroll 2
  for (int half = U / 2; half; half /= 2)
#pragma GCC unroll 2
    for (int u = 0; u < half; ++u) acc[u] = merge(acc[u], acc[u + half]);
  return acc[0];
}

template <class T, int U, class Step>
PYNN_INLINE double sum_along(int64_t n, Step step) {
  using V = Vec<T>;
  double total = 0;
  for (int64_t i = 0; i < n; i += kRowBlock)
    total += static_cast<double>(reduce_add(fold_along<T, U>(
        min_of(kRowBlock, n - i), V(T(0)),
        [=](V acc, auto at) __attribute__((always_inline)) {
          at.i += i;
          return step(acc, at);
        },
        [](V a, V b) __attribute__((always_inline)) { return a + b; })));
  return total;
}

template <class T>
PYNN_INLINE double row_sum(const T* x, int64_t n) {
  return sum_along<T, 4>(n, [=](Vec<T> acc, auto at) __attribute__((always_inline)) { return acc + at.load(x); });
}
// sum (x - s)^2
template <class T>
PYNN_INLINE double row_squares(const T* x, int64_t n, T s) {
  using V = Vec<T>;
  return sum_along<T, 4>(n, [=, shift = V(s)](V acc, auto at) __attribute__((always_inline)) {
    const V d = at.keep(at.load(x) - shift, V(T(0)));
    return fma(d, d, acc);
  });
}
template <class T>
PYNN_INLINE double row_dot(const T* x, const T* y, int64_t n) {
  return sum_along<T, 4>(
      n, [=](Vec<T> acc, auto at) __attribute__((always_inline)) { return fma(at.load(x), at.load(y), acc); });
}
// NaN wins; -inf for an empty row.
template <class T>
T row_max(const T* x, int64_t n) {
  using Fold = Extreme<T, true>;
  Total<T> m;
  merge_lanes<Fold>(fold_block(Fold{}, x, n, Vec<T>(T(0))), 1, &m);
  return static_cast<T>(m);
}
// The same where what follows finds NaN by itself: it may be passed over here.
template <class T>
PYNN_INLINE T row_top(const T* x, int64_t n) {
  using V = Vec<T>;
  const V low(kMinusInfinity<T>);
  return reduce_max(fold_along<T, 4>(
      n, low, [=](V acc, auto at) __attribute__((always_inline)) { return max(at.keep(at.load(x), low), acc); },
      [](V a, V b) __attribute__((always_inline)) { return max(a, b); }));
}

// sum exp(x - m) for m >= x, and y = exp(x - m) when y is given. y may be x.
template <class T>
PYNN_INLINE double sum_exp(const T* x, int64_t n, T m) {
  using V = Vec<T>;
  return sum_along<T, 2>(n, [=, top = V(m)](V acc, auto at) __attribute__((always_inline)) {
    return acc + at.keep(exp_negative(at.load(x) - top), V(T(0)));
  });
}
template <class T>
PYNN_INLINE double store_exp(T* y, const T* x, int64_t n, T m) {
  using V = Vec<T>;
  return sum_along<T, 2>(n, [=, top = V(m)](V acc, auto at) __attribute__((always_inline)) {
    const V e = exp_negative(at.load(x) - top);
    at.store(y, e);
    return acc + at.keep(e, V(T(0)));
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
