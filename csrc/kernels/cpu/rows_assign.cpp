// rows_assign.cpp -- y[index[r], :] = x[r, :]. Where an index repeats, the last row wins.
//
// Long rows are moved in parallel: each task reads all of the index and writes its own range of y's rows.
#include "core/parallel.h"
#include "kernels/cpu/elements.h"
#include "kernels/indexing.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class E>
void assign_rows(const RowsArgs& a, int64_t x_step) {
  const auto assign = [&](int64_t low, int64_t high) {
    for (int64_t r = 0; r < a.nindex; ++r) {
      const int64_t at = a.index[r] < 0 ? a.index[r] + a.nrows : a.index[r];
      if (at < low || at >= high) continue;
      E* to = static_cast<E*>(a.y) + at * a.row;
      const E* from = static_cast<const E*>(a.x) + r * x_step;
      for (int64_t i = 0; i < a.row; ++i) to[i] = from[i];
    }
  };
  constexpr int64_t parts = 16, long_row = 32, small = 1 << 15;
  if (a.row < long_row || a.nindex * a.row < small) return assign(0, a.nrows);
  parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    assign(a.nrows * begin / parts, a.nrows * end / parts);
  });
}

}  // namespace

int64_t rows_assign(const RowsArgs& a, int64_t x_step) {
  const int64_t low = a.wrap ? -a.nrows : 0;
  for (int64_t r = 0; r < a.nindex; ++r)
    if (a.index[r] < low || a.index[r] >= a.nrows) return r;
  by_size(a.dtype, [&](auto e) { assign_rows<decltype(e)>(a, x_step); });
  return -1;
}

}  // namespace PYNN_CPU_NAMESPACE
