// row_math.h -- what softmax, cross-entropy and layer norm need of one contiguous row of float or double.
#pragma once
#include "kernels/cpu/reduce_fold.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kRowBlock = 2048;  // float lanes sum at most this many elements before the total in double

template <class T, class F>
PYNN_INLINE double sum_blocks(int64_t n, F block_sum) {
  double total = 0;
  for (int64_t i = 0; i < n; i += kRowBlock) total += block_sum(i, min_of(kRowBlock, n - i));
  return total;
}

template <class T>
double row_sum(const T* x, int64_t n) {
  return sum_blocks<T>(n, [&](int64_t i, int64_t b) { return fold_block(Add<T>{}, x + i, b, T(0)); });
}
// sum (x - s)^2
template <class T>
double row_squares(const T* x, int64_t n, T s) {
  return sum_blocks<T>(n, [&](int64_t i, int64_t b) { return fold_block(AddSquares<T>{}, x + i, b, s); });
}
// NaN wins; -inf for an empty row.
template <class T>
T row_max(const T* x, int64_t n) {
  return static_cast<T>(fold_block(Extreme<T, true>{}, x, n, T(0)));
}

template <class T>
double row_dot(const T* x, const T* y, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  return sum_blocks<T>(n, [&](int64_t i, int64_t b) {
    V acc[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
    const T *p = x + i, *q = y + i;
    int64_t k = 0;
    for (; k + 4 * L <= b; k += 4 * L)
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) acc[u] = fma(V::load(p + k + u * L), V::load(q + k + u * L), acc[u]);
    for (; k < b; k += L) acc[0] = fma(V::load(p + k, b - k), V::load(q + k, b - k), acc[0]);
    return static_cast<double>(reduce_add((acc[0] + acc[1]) + (acc[2] + acc[3])));
  });
}

// sum exp(x - m), and y = exp(x - m) when y is given. y may be x.
template <class T, bool kStore>
PYNN_INLINE double sum_exp_impl(T* y, const T* x, int64_t n, T m) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  const V s(m);
  return sum_blocks<T>(n, [&](int64_t i, int64_t b) {
    V acc(T(0)), acc2(T(0));
    int64_t k = 0;
    for (; k + 2 * L <= b; k += 2 * L) {
      const V e = exp(V::load(x + i + k) - s), f = exp(V::load(x + i + k + L) - s);
      if (kStore) {
        e.store(y + i + k);
        f.store(y + i + k + L);
      }
      acc += e;
      acc2 += f;
    }
    for (; k < b; k += L) {
      const int64_t rest = b - k;
      V e = exp(V::load(x + i + k, rest) - s);
      if (kStore) e.store(y + i + k, rest);
      if (rest < L) e = select(V::iota(T(0)) < V(static_cast<T>(rest)), e, V(T(0)));
      acc += e;
    }
    return static_cast<double>(reduce_add(acc + acc2));
  });
}
template <class T>
double sum_exp(const T* x, int64_t n, T m) {
  return sum_exp_impl<T, false>(nullptr, x, n, m);
}
template <class T>
double store_exp(T* y, const T* x, int64_t n, T m) {
  return sum_exp_impl<T, true>(y, x, n, m);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
