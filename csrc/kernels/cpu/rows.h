// rows.h -- moving and adding rows of one tensor to places of another that may repeat.
//
// Where places repeat, order matters: threads share out places or columns, and each sees its rows in order. So
// results do not depend on how many there are.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"
#include "kernels/indexing.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

PYNN_INLINE int64_t wrapped(int64_t index, int64_t n) { return index < 0 ? index + n : index; }

// Rows that do not overlap.
template <class E>
PYNN_INLINE void copy_row(E* to, const E* from, int64_t n) {
  copy_bytes(reinterpret_cast<char*>(to), reinterpret_cast<const char*>(from), n * static_cast<int64_t>(sizeof(E)));
}

template <class S>
PYNN_INLINE void add_row(S* to, const S* from, int64_t n) {
  if constexpr (std::is_same_v<S, float> || std::is_same_v<S, double> || std::is_same_v<S, int32_t> ||
                std::is_same_v<S, int64_t>) {
    using V = Vec<S>;
    int64_t i = 0;
    for (; i + V::kSize <= n; i += V::kSize) (V::load(to + i) + V::load(from + i)).store(to + i);
    if (i < n) (V::load(to + i, n - i) + V::load(from + i, n - i)).store(to + i, n - i);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = sum_of(to[i], from[i]);
  }
}

// f(row of x, row of y, first column, columns) for all rows, in order for each place. Threads share out the places, or
// columns if a few places get most rows.
template <class F>
void each_row_in_order(const RowsArgs& a, F f) {
  constexpr int64_t line = 16, small = 1 << 15;
  const int64_t threads = num_threads();
  const bool alone = threads == 1 || a.row < 2 * line || a.nindex * a.row < small;
  const double share = static_cast<double>(threads) / static_cast<double>(a.nrows);
  const auto owner = [&](int64_t to) { return static_cast<int64_t>(static_cast<double>(to) * share); };
  bool by_places = false;
  if (!alone) {
    const Scratch<int64_t> rows(threads);
    for (int64_t t = 0; t < threads; ++t) rows[t] = 0;
    for (int64_t r = 0; r < a.nindex; ++r) ++rows[owner(wrapped(a.index[r], a.nrows))];
    int64_t most = 0;
    for (int64_t t = 0; t < threads; ++t) most = max_of(most, rows[t]);
    by_places = 4 * most * threads <= 5 * a.nindex;
  }
  const int64_t width = alone || by_places ? a.row : round_up(ceil_div(a.row, threads), line);
  parallel_for(0,
               alone       ? 1
               : by_places ? threads
                           : ceil_div(a.row, width),
               1, [&](int64_t begin, int64_t end) {
                 for (int64_t k = begin; k < end; ++k)
                   for (int64_t r = 0; r < a.nindex; ++r) {
                     const int64_t to = wrapped(a.index[r], a.nrows), c = by_places ? 0 : k * width;
                     if (to != a.skip && (!by_places || owner(to) == k)) f(r, to, c, min_of(width, a.row - c));
                   }
               });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
