// triangle.cpp -- tril and triu: of each row the part that is kept is copied, the other filled. Parallel over rows.
#include "kernels/triangle.h"

#include "kernels/cpu/convert.h"
#include "kernels/cpu/rows.h"

namespace PYNN_CPU_NAMESPACE {

void triangle(const TriangleArgs& args) {
  if (args.cols == 0) return;
  const Convert copy = converter(args.dtype, args.dtype);
  const double ns = 3 + 0.3 * static_cast<double>(args.cols);
  by_size(args.dtype, [&](auto e) {
    using E = decltype(e);
    parallel_for(0, args.batch * args.rows, grain_for(ns), [&](int64_t begin, int64_t end) {
      const TriangleArgs a = args;  // a copy that no write can reach: it stays in registers
      const int64_t diagonal = min_of(max_of(a.diagonal, -a.rows), a.cols) + a.lower;
      const E* matrix = static_cast<const E*>(a.x) + begin / a.rows * a.x_batch;
      E* y = static_cast<E*>(a.y) + begin * a.cols;
      int64_t row = begin % a.rows;
      for (int64_t r = begin; r < end; ++r, y += a.cols) {
        // Columns before `border` belong to the lower triangle.
        const int64_t border = min_of(max_of<int64_t>(row + diagonal, 0), a.cols);
        const int64_t first = a.lower ? 0 : border, n = a.lower ? border : a.cols - border;  // those that are kept
        const E* x = matrix + row * a.x_row + first * a.x_col;
        if (a.x_col == 1) {
          if (x != y + first) copy_row(y + first, x, n);
        } else
          copy(y + first, {0, 1}, x, {0, a.x_col}, 1, n);
        fill_row(a.lower ? y + border : y, E{}, a.cols - n);
        if (++row == a.rows) row = 0, matrix += a.x_batch;
      }
    });
  });
}

}  // namespace PYNN_CPU_NAMESPACE
