// reduce_fold.h -- folding memory into one value: what a step is, and rows. Columns: reduce_columns.h.
//
//   x   [rows, inner] of one outer index, element (r, c) at r * inner + c, of any dtype, converted to T in blocks
//   T   type of the loop: float, double or int64_t, in many lanes, never over more than kBlockRows steps a lane
//   W   type of the totals: double, for int64_t itself. So a float32 sum errs as a pairwise sum does.
//
// Serial; reduce.cpp cuts the work into pieces by size.
#pragma once
#include <type_traits>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kBlockRows = 32;   // steps of one lane before it goes to the total
constexpr int64_t kShortBlocks = 2;  // of rows that are folded many at a time

template <class T>
using Total = std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double>;

template <class T>
constexpr T kInfinity = std::is_same_v<T, int64_t> ? T(INT64_MAX) : T(__builtin_huge_val());
template <class T>
constexpr T kMinusInfinity = std::is_same_v<T, int64_t> ? T(INT64_MIN) : -T(__builtin_huge_val());

// Memory of any dtype as T. Folds of rows and columns read half types where they lie (by_storage), all others through a
// buffer.
template <class T>
struct Source {
  const char* x;
  DType dtype;
  int64_t item;
  Convert convert;  // nullptr: x is of type T
  static constexpr DType kType = DTypeOf<T>::value;

  Source(const void* data, DType type)
      : x(static_cast<const char*>(data)),
        dtype(type),
        item(static_cast<int64_t>(item_size(type))),
        convert(type == kType ? nullptr : converter(kType, type)) {}
  PYNN_INLINE bool converts() const { return convert && dtype != DType::BFloat16 && dtype != DType::Float16; }
  // n elements from `offset` on; the buffer must hold n where a conversion is needed.
  PYNN_INLINE const T* get(int64_t offset, int64_t n, T* buffer) const {
    const char* p = x + offset * item;
    if (!convert) return reinterpret_cast<const T*>(p);
    convert(buffer, {n, 1}, p, {n, 1}, 1, n);
    return buffer;
  }
  // The same as S, which by_storage chose.
  template <class S>
  PYNN_INLINE const S* get_as(int64_t offset, int64_t n, T* buffer) const {
    if constexpr (std::is_same_v<S, T>)
      return get(offset, n, buffer);
    else
      return reinterpret_cast<const S*>(x) + offset;
  }
  // f(an S), S being what the fold's loop should read.
  template <class F>
  PYNN_INLINE auto by_storage(F f) const {
    if constexpr (std::is_same_v<T, float>) {
      if (dtype == DType::BFloat16) return f(BFloat16{});
      if (dtype == DType::Float16) return f(Half{});
    }
    return f(T{});
  }
};

// f(a, b), where integers wrap.
template <class W, class F>
PYNN_INLINE W wrapping(W a, W b, F f) {
  if constexpr (std::is_same_v<W, int64_t>)
    return static_cast<W>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  else
    return f(a, b);
}

// A fold has a start, an input that changes nothing (identity), a step and a merge; `s` is the column's shift. kUnroll
// chains of steps run side by side, fewer where a step is long.
template <class T>
struct Add {
  using V = Vec<T>;
  using W = Total<T>;
  static constexpr int kUnroll = 8;
  PYNN_INLINE V start() const { return V(T(0)); }
  PYNN_INLINE V identity(V) const { return V(T(0)); }
  PYNN_INLINE V step(V acc, V x, V) const { return acc + x; }
  template <class U>
  PYNN_INLINE static Vec<U> merge(Vec<U> a, Vec<U> b) {
    return a + b;
  }
  PYNN_INLINE static W merge(W a, W b) {
    return wrapping(a, b, [](auto p, auto q) { return p + q; });
  }
};
template <class T>
struct Multiply {
  using V = Vec<T>;
  using W = Total<T>;
  static constexpr int kUnroll = 8;
  PYNN_INLINE V start() const { return V(T(1)); }
  PYNN_INLINE V identity(V) const { return V(T(1)); }
  PYNN_INLINE V step(V acc, V x, V) const { return acc * x; }
  template <class U>
  PYNN_INLINE static Vec<U> merge(Vec<U> a, Vec<U> b) {
    return a * b;
  }
  PYNN_INLINE static W merge(W a, W b) {
    return wrapping(a, b, [](auto p, auto q) { return p * q; });
  }
};
template <class T, bool kMax, bool kAbs = false>
struct Extreme {  // NaN wins
  using V = Vec<T>;
  using W = Total<T>;
  static constexpr int kUnroll = 8;
  static constexpr T kStart = kMax ? (kAbs ? T(0) : kMinusInfinity<T>) : kInfinity<T>;
  PYNN_INLINE V start() const { return V(kStart); }
  PYNN_INLINE V identity(V) const { return V(kStart); }
  PYNN_INLINE V step(V acc, V x, V) const {
    if (kAbs) x = abs(x);
    return merge(acc, x);
  }
  template <class U>
  PYNN_INLINE static Vec<U> merge(Vec<U> a, Vec<U> b) {
    return kMax ? maximum(a, b) : minimum(a, b);
  }
  PYNN_INLINE static W merge(W a, W b) { return (kMax ? b > a : b < a) || b != b ? b : a; }
};
template <class T>
struct Count : Add<T> {  // of nonzero elements
  using V = Vec<T>;
  PYNN_INLINE V step(V acc, V x, V) const { return acc + select(x != V(T(0)), V(T(1)), V(T(0))); }
};
template <class T>
struct AddNumbers : Add<T> {  // all but NaN
  using V = Vec<T>;
  PYNN_INLINE V step(V acc, V x, V) const { return acc + select(x == x, x, V(T(0))); }
};
template <class T>
struct AddAbs : Add<T> {
  using V = Vec<T>;
  PYNN_INLINE V step(V acc, V x, V) const { return acc + abs(x); }
};
template <class T>
struct AddSquares : Add<T> {  // of x - s
  using V = Vec<T>;
  PYNN_INLINE V identity(V s) const { return s; }
  PYNN_INLINE V step(V acc, V x, V s) const {
    const V d = x - s;
    return fma(d, d, acc);
  }
};

// out[c] = fold of the lanes c, c + period, ...; period is a power of 2.
template <class P, class W>
PYNN_INLINE void merge_lanes(Vec<W> acc, int64_t period, W* out) {
  constexpr int L = Vec<W>::kSize;
  W lanes[L];
  acc.store(lanes);
  if (period > 1) [[unlikely]] {
    for (int64_t l = period; l < L; ++l) lanes[l & (period - 1)] = P::merge(lanes[l & (period - 1)], lanes[l]);
    for (int64_t l = 0; l < period; ++l) out[l] = lanes[l];
    return;
  }
#pragma GCC unroll 4
  for (int half = L / 2; half; half /= 2)
#pragma GCC unroll 4
    for (int l = 0; l < half; ++l) lanes[l] = P::merge(lanes[l], lanes[l + half]);
  *out = lanes[0];
}

// n elements into as many lanes as a register of totals has: element i into lane i modulo those.
template <class P, class S, class T = Wide<S>>
[[gnu::noinline]] Vec<Total<T>> fold_block(const P& fold, const S* x, int64_t n, Vec<T> s) {
  using V = Vec<T>;
  constexpr int L = V::kSize, U = P::kUnroll;
  V acc[U];
  int64_t i = 0;
  acc[0] = fold.start();
  if (n >= U * L) {
#pragma GCC unroll 8
    for (int u = 1; u < U; ++u) acc[u] = fold.start();
    for (; i + U * L <= n; i += U * L)
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) acc[u] = fold.step(acc[u], load_wide(x + i + u * L), s);
#pragma GCC unroll 4
    for (int half = U / 2; half; half /= 2)
#pragma GCC unroll 4
      for (int u = 0; u < half; ++u) acc[u] = P::merge(acc[u], acc[u + half]);
  }
  for (; i + L <= n; i += L) acc[0] = fold.step(acc[0], load_wide(x + i), s);
  if (i < n) {
    const V rest = select(V::iota(T(0)) < V(static_cast<T>(n - i)), load_wide(x + i, n - i), fold.identity(s));
    acc[0] = fold.step(acc[0], rest, s);
  }
  if constexpr (std::is_same_v<T, float>) {
    VecD low, high;
    widen(acc[0], low, high);
    return P::merge(low, high);
  } else {
    return acc[0];
  }
}

// Rows of so few columns that a register of totals holds whole ones are folded like a single column.
template <class T>
constexpr bool fills_lanes(int64_t columns) {
  return Vec<Total<T>>::kSize % columns == 0;
}

// shift[c] in the lanes c, c + columns, ...; 0 without shifts.
template <class T>
PYNN_INLINE Vec<T> repeated(const T* shift, int64_t columns) {
  if (!shift || columns == 1) return Vec<T>(shift ? *shift : T(0));
  T lanes[Vec<T>::kSize];
  for (int64_t l = 0; l < Vec<T>::kSize; ++l) lanes[l] = shift[l & (columns - 1)];
  return Vec<T>::load(lanes);
}

// out[c] = fold of the elements c, c + columns, ... of n from `offset` on; fills_lanes(columns).
template <class P, class T>
[[gnu::noinline]] void fold_row(const P& fold, const Source<T>& x, int64_t offset, int64_t n, int64_t columns,
                                const T* shift, Total<T>* out) {
  using W = Total<T>;
  constexpr int64_t L = Vec<T>::kSize, block = kBlockRows * 8 * L;
  T buffer[block];
  const Vec<T> s = repeated(shift, columns);
  Vec<W> total(static_cast<W>(fold.start()[0]));
  x.by_storage([&](auto storage) {
    using S = decltype(storage);
    for (int64_t i = 0; i < n; i += block) {
      const int64_t b = min_of(block, n - i);
      total = P::merge(total, fold_block(fold, x.template get_as<S>(offset + i, b, buffer), b, s));
    }
  });
  merge_lanes<P>(total, columns, out);
}

// Whether fold_short_rows takes matrices of n elements.
template <class T>
bool is_short_row(int64_t n) {
  return n <= kShortBlocks * kBlockRows * Vec<T>::kSize;
}

// The same of each of many matrices of n elements next to each other: L of them at a time, whose accumulators are
// transposed and merged. A result does not depend on its place among the others.
template <bool kOneColumn, class P, class T>
[[gnu::noinline]] void fold_short_rows(const P& fold, const Source<T>& x, int64_t offset, int64_t rows, int64_t n,
                                       int64_t columns, const T* shift, Total<T>* out) {
  if (kOneColumn) columns = 1;
  using V = Vec<T>;
  constexpr int L = V::kSize, R = P::kUnroll < 4 ? P::kUnroll : L < 4 ? L : 4;
  const int64_t whole = n / L * L;
  constexpr int64_t room = kShortBlocks * kBlockRows * L * L;
  T buffer[room];
  const int64_t together = max_of<int64_t>(room / 16 / max_of<int64_t>(n, 1) / L, 1) * L;  // rows that are converted
  const T* held = nullptr;
  for (int64_t r0 = 0; r0 < rows; r0 += L) {
    const int64_t last = min_of<int64_t>(L, rows - r0) - 1;
    if (r0 % together == 0) held = x.get(offset + r0 * n, min_of(together, rows - r0) * n, buffer);
    const T* p = held + r0 % together * n;
    V acc[L];
    for (int g = 0; g < L; g += R) {
      const T* row[R];
      V s[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const int64_t k = min_of<int64_t>(g + r, last);
        row[r] = p + k * n;
        acc[g + r] = fold.start();
        s[r] = repeated(shift ? shift + (r0 + k) * columns : nullptr, columns);
      }
      for (int64_t i = 0, end; i < whole; i = end) {
        V a[R];
        end = min_of(whole, i + kBlockRows * L);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) a[r] = fold.start();
        for (int64_t k = i; k < end; k += L)
#pragma GCC unroll 4
          for (int r = 0; r < R; ++r) a[r] = fold.step(a[r], V::load(row[r] + k), s[r]);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) acc[g + r] = P::merge(acc[g + r], a[r]);
      }
    }
    // Here, so that its constants take no registers of the loop above.
    for (int64_t r = 0; whole < n && r < L; ++r) {
      const int64_t k = min_of(r, last);
      const V s = repeated(shift ? shift + (r0 + k) * columns : nullptr, columns);
      const V rest = V::load(p + k * n + whole, n - whole);
      acc[r] = fold.step(acc[r], select(V::iota(T(0)) < V(static_cast<T>(n - whole)), rest, fold.identity(s)), s);
    }
    transpose(acc);
#pragma GCC unroll 4
    for (int half = L / 2; half; half /= 2) {
      if (half < columns) break;
#pragma GCC unroll 8
      for (int l = 0; l < half; ++l) acc[l] = P::merge(acc[l], acc[l + half]);
    }
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r <= last; ++r)
        out[(r0 + r) * columns + c] = static_cast<Total<T>>(acc[c][static_cast<int>(r)]);
  }
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
