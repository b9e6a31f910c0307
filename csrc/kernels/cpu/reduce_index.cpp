// reduce_index.cpp -- the largest (smallest) element of the middle dim of [outer, n, inner] and its first position.
//
//   better(x, best) = x > best, or x is NaN and best is not: so NaN wins, and the first of equal ones stays.
//
// Parallel over outer indices; a single long row over pieces of fixed size, merged in order. Compares as float, double
// or int64_t, which hold every dtype exactly.
#include "kernels/cpu/reduce_index.h"

#include "core/parallel.h"
#include "kernels/cpu/reduce_fold.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T, bool kMax>
PYNN_INLINE bool better(T x, T best) {
  return (kMax ? x > best : x < best) || (x != x && best == best);
}

template <class T>
struct Found {
  T value;
  int64_t index;
};

// Blocks are searched twice: for their extreme, in many lanes, and only where it beats the best so far, for its place.
template <class T, bool kMax>
Found<T> find_in_row(const Source<T>& x, int64_t offset, int64_t n) {
  constexpr int64_t block = 1024;
  using Fold = Extreme<T, kMax>;
  T buffer[block];
  Found<T> found{T(0), -1};
  for (int64_t i = 0; i < n; i += block) {
    const int64_t b = min_of(block, n - i);
    const T* p = x.get(offset + i, b, buffer);
    const T best = static_cast<T>(fold_block(Fold{}, p, b, T(0)));
    if (found.index >= 0 && !better<T, kMax>(best, found.value)) continue;
    int64_t k = 0;
    while (p[k] != best && (best == best || p[k] == p[k])) ++k;
    found = {p[k], i + k};
  }
  return found;
}

// Columns [c, c + w): the best so far of each stays in `value` and `index`.
template <class T, bool kMax>
void find_in_columns(const Source<T>& x, int64_t base, int64_t rows, int64_t inner, int64_t c, int64_t w, T* value,
                     int64_t* index) {
  T buffer[kMaxColumns];
  const T* first = x.get(base + c, w, buffer);
  for (int64_t j = 0; j < w; ++j) value[j] = first[j], index[j] = 0;
  for (int64_t r = 1; r < rows; ++r) {
    const T* p = x.get(base + r * inner + c, w, buffer);
    for (int64_t j = 0; j < w; ++j) {
      const bool take = better<T, kMax>(p[j], value[j]);
      value[j] = take ? p[j] : value[j];
      index[j] = take ? r : index[j];
    }
  }
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
    parallel_for(0, a.outer, grain_for(0.4 * static_cast<double>(a.nreduce) + 10), [&](int64_t begin, int64_t end) {
      T values[64];
      for (int64_t o = begin; o < end; o += 64) {
        const int64_t n = min_of<int64_t>(64, end - o);
        for (int64_t i = 0; i < n; ++i) {
          const Found<T> found = find_in_row<T, kMax>(x, (o + i) * a.nreduce, a.nreduce);
          index[o + i] = found.index;
          values[i] = found.value;
        }
        put(o, values, n);
      }
    });
    return;
  }
  const int64_t w = min_of(a.inner, kMaxColumns), chunks = ceil_div(a.inner, w);
  const double ns = 0.6 * static_cast<double>(a.nreduce) * static_cast<double>(w) + 10;
  parallel_for(0, a.outer * chunks, grain_for(ns), [&](int64_t begin, int64_t end) {
    T values[kMaxColumns];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / chunks, c = i % chunks * w, n = min_of(w, a.inner - c);
      find_in_columns<T, kMax>(x, o * a.nreduce * a.inner, a.nreduce, a.inner, c, n, values, index + o * a.inner + c);
      put(o * a.inner + c, values, n);
    }
  });
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
