// reduce_index.cpp -- the largest (smallest) element of the middle dim of [outer, n, inner] and its first position.
//
//   better(x, best) = x > best, or x is NaN and best is not: so NaN wins, and the first of equal ones stays.
//
// Parallel over outer indices, columns, and pieces of fixed size of long rows and columns, merged in order. Compares as
// float, double or int64_t, which hold every dtype exactly.
#include "kernels/cpu/reduce_index.h"

#include "core/parallel.h"
#include "kernels/cpu/reduce_columns.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kShortRow = 24;

template <class T, bool kMax>
PYNN_INLINE bool better(T x, T best) {
  return (kMax ? x > best : x < best) || (x != x && best == best);
}

template <class T>
struct Found {
  T value;
  int64_t index;
};

// Of n >= 1 elements; NaN where one is.
template <class T, bool kMax>
PYNN_INLINE T extreme_of(const T* p, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::kSize, U = 4;
  const V start(Extreme<T, kMax>::kStart);
  V best[U], nan(T(0));
  const auto take = [&](V v, int u) __attribute__((always_inline)) {
    nan = select(v != v, v, nan);
    best[u] = kMax ? max(v, best[u]) : min(v, best[u]);  // passes over NaN
  };
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) best[u] = start;
  int64_t i = 0;
  for (; i + U * L <= n; i += U * L)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) take(V::load(p + i + u * L), u);
  for (; i + L <= n; i += L) take(V::load(p + i), 0);
  if (n < L)
    take(select(V::iota(T(0)) < V(static_cast<T>(n)), V::load(p, n), start), 1);
  else if (i < n)
    take(V::load(p + n - L), 1);
#pragma GCC unroll 4
  for (int u = 1; u < U; ++u) best[0] = kMax ? max(best[u], best[0]) : min(best[u], best[0]);
  if (any(nan != nan)) return static_cast<T>(__builtin_nan(""));
  return kMax ? reduce_max(best[0]) : reduce_min(best[0]);
}
// Where `value`, or NaN if it is that, first is; it is there.
template <class T>
PYNN_INLINE int64_t place_of(T value, const T* p, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  const V wanted(value);
  int64_t i = 0;
  if (value == value)
    while (i + L < n && !any(V::load(p + i) == wanted)) i += L;
  else
    while (i + L < n && all(V::load(p + i) == V::load(p + i))) i += L;
  while (p[i] != value && (value == value || p[i] == p[i])) ++i;
  return i;
}

// Blocks are searched twice: for their extreme, and only where it beats the best so far, for its place.
template <class T, bool kMax>
Found<T> find_in_row(const Source<T>& x, int64_t offset, int64_t n) {
  constexpr int64_t block = 1024;
  T buffer[block];
  Found<T> found{T(0), -1};
  for (int64_t i = 0; i < n; i += block) {
    const int64_t b = min_of(block, n - i);
    const T* p = x.get(offset + i, b, buffer);
    const T best = extreme_of<T, kMax>(p, b);
    if (found.index >= 0 && !better<T, kMax>(best, found.value)) continue;
    const int64_t k = place_of(best, p, b);
    found = {p[k], i + k};
  }
  return found;
}

// The same of short rows, a register of them at a time.
template <class T, bool kMax>
void find_in_short_rows(const T* x, int64_t rows, int64_t n, T* values, int64_t* index) {
  using V = Vec<T>;
  using Int = typename V::Int;
  constexpr int L = V::kSize;
  T turned[L * kShortRow] = {};
  for (int64_t r0 = 0; r0 < rows; r0 += L) {
    const int64_t count = min_of<int64_t>(L, rows - r0);
    for (int64_t r = 0; r < count; ++r)
      for (int64_t i = 0; i < n; ++i) turned[i * L + r] = x[(r0 + r) * n + i];
    V best = V::load(turned);
    Vec<Int> place(Int(0));
    for (int64_t i = 1; i < n; ++i) {
      const V v = V::load(turned + i * L);
      const Mask<T> take = (kMax ? v > best : v < best) | ((v != v) & (best == best));
      best = select(take, v, best);
      place = select(Mask<Int>{take.v}, Vec<Int>(static_cast<Int>(i)), place);
    }
    best.store(values + r0, count);
    Int places[L];
    place.store(places);
    for (int64_t r = 0; r < count; ++r) index[r0 + r] = places[r];
  }
}

// Of rows of w columns, `inner` elements apart from `offset` on: each column's best and its row.
template <class T, bool kMax>
void find_in_columns(const Source<T>& x, int64_t offset, int64_t rows, int64_t inner, int64_t w, T* value,
                     typename Vec<T>::Int* place) {
  using V = Vec<T>;
  using I = Vec<typename V::Int>;
  T buffer[kMaxColumns];
  const T* first = x.get(offset, w, buffer);
  for (int64_t j = 0; j < w; ++j) value[j] = first[j], place[j] = 0;
  for (int64_t r = 1; r < rows; ++r) {
    const T* p = x.get(offset + r * inner, w, buffer);
    const I row(static_cast<typename V::Int>(r));
    for (int64_t j = 0; j < w; j += V::kSize) {
      const int64_t n = w - j;
      const V v = V::load(p + j, n), best = V::load(value + j, n);
      const Mask<T> take = (kMax ? v > best : v < best) | ((v != v) & (best == best));
      select(take, v, best).store(value + j, n);
      select(Mask<typename V::Int>{take.v}, row, I::load(place + j, n)).store(place + j, n);
    }
  }
}

// Columns that fill less than a register: `group` rows, which lie next to each other, count as one.
template <class T, bool kMax>
void find_in_narrow(const Source<T>& x, int64_t offset, int64_t rows, int64_t inner, int64_t group, T* value,
                    typename Vec<T>::Int* place) {
  using Int = typename Vec<T>::Int;
  T v[kNarrow], buffer[kNarrow];
  Int at[kNarrow];
  const int64_t w = group * inner, wide = rows / group, rest = (rows - wide * group) * inner;
  find_in_columns<T, kMax>(x, offset, wide, w, w, v, at);
  const T* last = rest ? x.get(offset + wide * w, rest, buffer) : nullptr;
  for (int64_t j = 0; j < rest; ++j)
    if (better<T, kMax>(last[j], v[j])) v[j] = last[j], at[j] = static_cast<Int>(wide);
  for (int64_t c = 0; c < inner; ++c) {
    T best = v[c];
    int64_t row = at[c] * group;
    for (int64_t g = 1; g < group; ++g) {
      const T other = v[g * inner + c];
      const int64_t its = at[g * inner + c] * group + g;
      const bool same = other == best || (other != other && best != best);
      if (better<T, kMax>(other, best) || (same && its < row)) best = other, row = its;
    }
    value[c] = best;
    place[c] = static_cast<Int>(row);
  }
}

// [outer, n, inner], inner > 1: runs of columns and pieces of rows, whose results are merged in order.
template <class T, bool kMax, class Put>
void search_columns(const Source<T>& x, const ReduceArgs& a, int64_t* index, Put put) {
  using Int = typename Vec<T>::Int;
  const int64_t w = min_of(a.inner, kMaxColumns), chunks = ceil_div(a.inner, w);
  const int64_t piece = max_of<int64_t>((1 << 17) / w, 16), pieces = ceil_div(a.nreduce, piece);
  const int64_t lines = a.outer * chunks, group = kNarrow / a.inner;
  const Scratch<T> values(lines * pieces * w);
  const Scratch<Int> places(lines * pieces * w);
  const double ns = 0.12 * static_cast<double>(min_of(piece, a.nreduce) * w) + 10;
  parallel_for(0, lines * pieces, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t r = t % pieces * piece, c = t / pieces % chunks * w, o = t / pieces / chunks;
      const int64_t offset = (o * a.nreduce + r) * a.inner + c, rows = min_of(piece, a.nreduce - r);
      if (a.inner <= Vec<T>::kSize / 2 && rows >= 4 * group)
        find_in_narrow<T, kMax>(x, offset, rows, a.inner, group, values.get() + t * w, places.get() + t * w);
      else
        find_in_columns<T, kMax>(x, offset, rows, a.inner, min_of(w, a.inner - c), values.get() + t * w,
                                 places.get() + t * w);
    }
  });
  parallel_for(0, lines, grain_for(static_cast<double>(pieces * w)), [&](int64_t begin, int64_t end) {
    for (int64_t l = begin; l < end; ++l) {
      const int64_t c = l % chunks * w, at = l / chunks * a.inner + c, n = min_of(w, a.inner - c);
      T* best = values.get() + l * pieces * w;
      for (int64_t j = 0; j < n; ++j) index[at + j] = places[l * pieces * w + j];
      for (int64_t p = 1; p < pieces; ++p)
        for (int64_t j = 0, i = (l * pieces + p) * w; j < n; ++j, ++i)
          if (better<T, kMax>(values[i], best[j])) best[j] = values[i], index[at + j] = p * piece + places[i];
      put(at, best, n);
    }
  });
}

template <class T, bool kMax>
void search(const ReduceArgs& a, bool only_index) {
  const Source<T> x(a.x, a.dtype);
  const Convert store = only_index ? nullptr : converter(a.y_dtype, DTypeOf<T>::value);
  const int64_t y_item = static_cast<int64_t>(item_size(a.y_dtype));
  int64_t* index = only_index ? static_cast<int64_t*>(a.y) : a.index;
  const auto put = [&](int64_t at, const T* values, int64_t n) {
    if (store) store(static_cast<char*>(a.y) + at * y_item, {0, 1}, values, {0, 1}, 1, n);
  };
  constexpr int64_t piece = 1 << 16;
  if (a.inner == 1 && a.outer < 64 && a.nreduce > piece) {
    const int64_t pieces = ceil_div(a.nreduce, piece);
    const Scratch<Found<T>> part(pieces);
    for (int64_t o = 0; o < a.outer; ++o) {
      parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          part[i] = find_in_row<T, kMax>(x, o * a.nreduce + i * piece, min_of(piece, a.nreduce - i * piece));
          part[i].index += i * piece;
        }
      });
      Found<T> found = part[0];
      for (int64_t i = 1; i < pieces; ++i)
        if (better<T, kMax>(part[i].value, found.value)) found = part[i];
      index[o] = found.index;
      put(o, &found.value, 1);
    }
    return;
  }
  if (a.inner == 1) {
    const bool is_short = a.nreduce <= kShortRow;
    parallel_for(0, a.outer, grain_for(0.4 * static_cast<double>(a.nreduce) + 10), [&](int64_t begin, int64_t end) {
      T values[64], buffer[64 * kShortRow];
      for (int64_t o = begin; o < end; o += 64) {
        const int64_t n = min_of<int64_t>(64, end - o);
        if (is_short)
          find_in_short_rows<T, kMax>(x.get(o * a.nreduce, n * a.nreduce, buffer), n, a.nreduce, values, index + o);
        for (int64_t i = 0; i < n && !is_short; ++i) {
          const Found<T> found = find_in_row<T, kMax>(x, (o + i) * a.nreduce, a.nreduce);
          index[o + i] = found.index;
          values[i] = found.value;
        }
        put(o, values, n);
      }
    });
    return;
  }
  search_columns<T, kMax>(x, a, index, put);
}

template <class T>
void search_typed(Reduce op, const ReduceArgs& a) {
  const bool only_index = op == Reduce::ArgMax || op == Reduce::ArgMin;
  if (op == Reduce::Max || op == Reduce::ArgMax)
    search<T, true>(a, only_index);
  else
    search<T, false>(a, only_index);
}

}  // namespace

void reduce_index(Reduce op, const ReduceArgs& a) {
  if (is_complex(a.dtype)) no_loop("reduce", a.dtype);
  if (a.dtype == DType::Float64) return search_typed<double>(op, a);
  if (is_integral(a.dtype)) return search_typed<int64_t>(op, a);
  search_typed<float>(op, a);
}

}  // namespace PYNN_CPU_NAMESPACE
