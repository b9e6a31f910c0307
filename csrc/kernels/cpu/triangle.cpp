// triangle.cpp -- tril and triu: of each row the part that is kept is copied, the other filled. Parallel over rows.
#include "kernels/triangle.h"

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {

void triangle(const TriangleArgs& a) {
  if (a.cols == 0) return;
  const Convert copy = converter(a.dtype, a.dtype);
  const int64_t item = static_cast<int64_t>(item_size(a.dtype));
  const int64_t diagonal = min_of(max_of(a.diagonal, -a.rows), a.cols);
  const char zero[16] = {};
  parallel_for(0, a.batch * a.rows, grain_for(5 + 0.3 * static_cast<double>(a.cols)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t row = r % a.rows;
      char* y = static_cast<char*>(a.y) + r * a.cols * item;
      const char* x = static_cast<const char*>(a.x) + (r / a.rows * a.x_batch + row * a.x_row) * item;
      // Columns before `border` belong to the lower triangle.
      const int64_t border = min_of(max_of<int64_t>(row + diagonal + a.lower, 0), a.cols), rest = a.cols - border;
      char* tail = y + border * item;
      const char* x_tail = x + border * a.x_col * item;
      if (border) copy(y, {0, 1}, a.lower ? x : zero, {0, a.lower ? a.x_col : 0}, 1, border);
      if (rest) copy(tail, {0, 1}, a.lower ? zero : x_tail, {0, a.lower ? 0 : a.x_col}, 1, rest);
    }
  });
}

}  // namespace PYNN_CPU_NAMESPACE
