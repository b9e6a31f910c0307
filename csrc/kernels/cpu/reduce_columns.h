// reduce_columns.h -- folding columns of memory into one value each, and pieces of a matrix by what shape they have.
//
//   x   [rows, inner] of one outer index, element (r, c) at r * inner + c
//
// Accumulates as reduce_fold.h says.
#pragma once
#include "kernels/cpu/reduce_fold.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kMaxColumns = 1024;
constexpr int64_t kNarrow = 64;  // fewer columns than this are folded many rows at a time

// acc[c] takes R rows of w columns.
template <int R, class P, class T, class S>
PYNN_INLINE void fold_rows(const P& fold, T* acc, const S* const* x, int64_t w, const T* shift) {
  using V = Vec<T>;
  constexpr int64_t L = V::kSize;
  int64_t c = 0;
  for (; c + L <= w; c += L) {
    V a = V::load(acc + c);
    const V s = shift ? V::load(shift + c) : V(T(0));
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) a = fold.step(a, load_wide(x[r] + c), s);
    a.store(acc + c);
  }
  if (const int64_t n = w - c; n > 0) {
    V a = V::load(acc + c, n);
    const V s = shift ? V::load(shift + c, n) : V(T(0));
    for (int r = 0; r < R; ++r) a = fold.step(a, load_wide(x[r] + c, n), s);
    a.store(acc + c, n);
  }
}

// acc[0 .. period) takes acc[period .. 2 * period), ...: halves while they are whole periods.
template <class P, class T>
PYNN_INLINE void merge_periods(T* acc, int64_t w, int64_t period) {
  using V = Vec<T>;
  while (w > period) {
    const int64_t half = max_of(w / period / 2, int64_t(1)) * period;
    w -= half;
    for (int64_t c = 0; c < half; c += V::kSize) {
      const int64_t n = half - c;
      P::merge(V::load(acc + c, n), V::load(acc + w + c, n)).store(acc + c, n);
    }
  }
}

// total[c] takes x[c], of the loop's type or a total itself.
template <class P, class W, class T>
PYNN_INLINE void merge_totals(W* total, const T* x, int64_t n) {
  constexpr int64_t L = Vec<T>::kSize;
  int64_t c = 0;
  for (; c + L <= n; c += L)
    if constexpr (std::is_same_v<T, float>) {
      VecD low, high;
      widen(Vec<T>::load(x + c), low, high);
      P::merge(VecD::load(total + c), low).store(total + c);
      P::merge(VecD::load(total + c + L / 2), high).store(total + c + L / 2);
    } else {
      P::merge(Vec<W>::load(total + c), Vec<W>::load(x + c)).store(total + c);
    }
  for (; c < n; ++c) total[c] = P::merge(total[c], static_cast<W>(x[c]));
}

// total[c % period] takes the rows at offset, offset + stride, ... of w <= kMaxColumns columns.
template <class P, class T>
[[gnu::noinline]] void fold_columns(const P& fold, const Source<T>& x, int64_t offset, int64_t rows, int64_t stride,
                                    int64_t w, int64_t period, const T* shift, Total<T>* total) {
  T acc[kMaxColumns];
  T buffer[8 * kMaxColumns];
  const T start = fold.start()[0];
  for (int64_t r0 = 0; r0 < rows; r0 += kBlockRows) {
    const int64_t r1 = min_of(rows, r0 + kBlockRows);
    for (int64_t c = 0; c < w; ++c) acc[c] = start;
    x.by_storage([&](auto storage) {
      using S = decltype(storage);
      constexpr int R = 8;
      int64_t r = r0;
      for (; r + R <= r1; r += R) {
        const S* p[R];
        for (int i = 0; i < R; ++i) p[i] = x.template get_as<S>(offset + (r + i) * stride, w, buffer + i * kMaxColumns);
        fold_rows<R>(fold, acc, p, w, shift);
      }
      for (; r < r1; ++r) {
        const S* p = x.template get_as<S>(offset + r * stride, w, buffer);
        fold_rows<1>(fold, acc, &p, w, shift);
      }
    });
    if (period < w) merge_periods<P>(acc, w, period);
    merge_totals<P>(total, acc, period);
  }
}

// out[c] = fold of column c of `rows` <= kBlockRows rows, `stride` elements apart: accumulators stay in registers.
template <int U, class P, class T, class S>
PYNN_INLINE void fold_few_rows(const P& fold, const S* x, int64_t rows, int64_t stride, int64_t n, const T* shift,
                               Total<T>* out) {
  using V = Vec<T>;
  constexpr int64_t L = V::kSize;
  V acc[U], s[U];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) acc[u] = fold.start(), s[u] = shift ? V::load(shift + u * L, n - u * L) : V(T(0));
  // Whole registers while they end inside the matrix: lanes beyond n go nowhere.
  const int64_t whole = rows - ceil_div(U * L - n, stride);
  int64_t r = 0;
  for (; r < whole; ++r, x += stride)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) acc[u] = fold.step(acc[u], load_wide(x + u * L), s[u]);
  for (; r < rows; ++r, x += stride)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) acc[u] = fold.step(acc[u], load_wide(x + u * L, n - u * L), s[u]);
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) {
    const int64_t left = n - u * L;
    if constexpr (std::is_same_v<T, float>) {
      VecD low, high;
      widen(acc[u], low, high);
      low.store(out + u * L, left);
      if (left > L / 2) high.store(out + u * L + L / 2, left - L / 2);
    } else {
      acc[u].store(out + u * L, left);
    }
  }
}
template <class P, class T>
[[gnu::noinline]] void fold_short_columns(const P& fold, const Source<T>& x, int64_t offset, int64_t rows,
                                          int64_t stride, int64_t w, const T* shift, Total<T>* out) {
  constexpr int64_t L = Vec<T>::kSize;
  constexpr int U = P::kUnroll < 4 ? 1 : 4;
  x.by_storage([&](auto storage) {
    using S = decltype(storage);
    const S* p = reinterpret_cast<const S*>(x.x) + offset;
    int64_t c = 0;
    for (; c + U * L <= w; c += U * L)
      fold_few_rows<U>(fold, p + c, rows, stride, U * L, shift ? shift + c : nullptr, out + c);
    for (; c < w; c += L)
      fold_few_rows<1>(fold, p + c, rows, stride, min_of(L, w - c), shift ? shift + c : nullptr, out + c);
  });
}

// out[c] = fold of rows [r0, r1), columns [c0, c1) of the matrix that starts at `base`; shift belongs to c0.
template <class P, class T>
[[gnu::noinline]] void fold_piece(const P& fold, const Source<T>& x, int64_t base, int64_t inner, int64_t r0,
                                  int64_t r1, int64_t c0, int64_t c1, const T* shift, Total<T>* out) {
  using W = Total<T>;
  if (fills_lanes<T>(inner) && (inner == 1 || (r1 - r0) * inner >= kNarrow))
    return fold_row(fold, x, base + r0 * inner, (r1 - r0) * inner, inner, shift, out);
  if (r1 - r0 <= kBlockRows && !x.converts())
    return fold_short_columns(fold, x, base + r0 * inner + c0, r1 - r0, inner, c1 - c0, shift, out);
  const W start = static_cast<W>(fold.start()[0]);
  for (int64_t c = 0; c < c1 - c0; ++c) out[c] = start;
  if (inner >= kNarrow && !x.converts()) {  // rows are read a few lines at a time: accumulators stay in registers
    W block[kMaxColumns];
    for (int64_t r = r0; r < r1; r += kBlockRows)
      for (int64_t c = c0; c < c1; c += kMaxColumns) {
        const int64_t n = min_of(kMaxColumns, c1 - c);
        fold_short_columns(fold, x, base + r * inner + c, min_of(kBlockRows, r1 - r), inner, n,
                           shift ? shift + (c - c0) : nullptr, block);
        merge_totals<P>(out + (c - c0), block, n);
      }
    return;
  }
  if (inner >= kNarrow || r1 - r0 < 8) {
    for (int64_t c = c0; c < c1; c += kMaxColumns)
      fold_columns(fold, x, base + r0 * inner + c, r1 - r0, inner, min_of(kMaxColumns, c1 - c),
                   min_of(kMaxColumns, c1 - c), shift ? shift + (c - c0) : nullptr, out + (c - c0));
    return;
  }
  // Few columns: `group` rows, which lie next to each other, count as one.
  const int64_t group = 4 * kNarrow / inner, w = group * inner, rows = (r1 - r0) / group;
  T shifts[4 * kNarrow];
  for (int64_t i = 0; shift && i < w; ++i) shifts[i] = shift[i % inner];
  const T* s = shift ? shifts : nullptr;
  fold_columns(fold, x, base + r0 * inner, rows, w, w, inner, s, out);
  if (const int64_t rest = (r1 - r0 - rows * group) * inner; rest > 0)
    fold_columns(fold, x, base + (r0 + rows * group) * inner, 1, w, rest, inner, s, out);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
