// rows_assign.cpp -- y[index[r], :] = x[r, :]. Where an index repeats, the last row wins.
#include "kernels/cpu/first_bad.h"
#include "kernels/cpu/rows.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class E>
void assign_rows(const RowsArgs& a, int64_t x_step) {
  const E* x = static_cast<const E*>(a.x);
  E* y = static_cast<E*>(a.y);
  if (a.row == 1) {
    for (int64_t r = 0; r < a.nindex; ++r) y[wrapped(a.index[r], a.nrows)] = x[r * x_step];
    return;
  }
  each_row_in_order(a, [&](int64_t r, int64_t to, int64_t c, int64_t width) {
    copy_row(y + to * a.row + c, x + r * x_step + c, width);
  });
}

}  // namespace

int64_t rows_assign(const RowsArgs& a, int64_t x_step) {
  if (const int64_t bad = first_bad(a.index, a.nindex, a.wrap ? -a.nrows : 0, a.nrows); bad >= 0) return bad;
  by_size(a.dtype, [&](auto e) { assign_rows<decltype(e)>(a, x_step); });
  return -1;
}

}  // namespace PYNN_CPU_NAMESPACE
