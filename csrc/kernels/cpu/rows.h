// rows.h -- moving and adding rows of one tensor to places of another that may repeat.
//
// Where places repeat, order matters: threads share out columns, never rows, and each sees the rows in order. So
// results do not depend on how many there are.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/elements.h"
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

// f(row of x, row of y, first column, columns) for all rows, in order for each column.
template <class F>
PYNN_INLINE void each_row_in_order(const RowsArgs& a, F f) {
  constexpr int64_t line = 16, small = 1 << 15;
  const auto work = [&](int64_t c, int64_t width) {
    for (int64_t r = 0; r < a.nindex; ++r) {
      const int64_t to = wrapped(a.index[r], a.nrows);
      if (to != a.skip) f(r, to, c, width);
    }
  };
  const int64_t threads = num_threads();
  if (threads == 1 || a.row < 2 * line || a.nindex * a.row < small) return work(0, a.row);
  const int64_t width = round_up(ceil_div(a.row, threads), line);
  parallel_for(0, ceil_div(a.row, width), 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) work(k * width, min_of(width, a.row - k * width));
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
