// pad.cpp -- padding row by row: a run of each row is copied (or added) whole, the elements beside it one by one.
// Parallel over elements; sums over planes, each of which sees its rows in order.
#include "kernels/pad.h"

#include "kernels/cpu/rows.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// f(column) for those outside of the run.
template <class F>
PYNN_INLINE void beside_run(const PadArgs& a, F f) {
  for (int64_t c = 0; c < a.begin; ++c) f(c);
  for (int64_t c = a.end; c < a.cols; ++c) f(c);
}

// Columns [first, last) of one row; x null: all value.
template <class E>
[[gnu::noinline]] void pad_part(const PadArgs& a, E* y, const E* x, int64_t first, int64_t last) {
  const E value = *static_cast<const E*>(a.value);
  if (!x) return fill_row(y + first, value, last - first);
  for (int64_t c = first; c < last; ++c) {
    if (c >= a.begin && c < a.end) {
      const int64_t n = min_of(a.end, last) - c;
      copy_row(y + c, x + a.from + c - a.begin, n);
      c += n - 1;
    } else {
      y[c] = a.column[c] < 0 ? value : x[a.column[c]];
    }
  }
}

template <class E>
void pad_as(const PadArgs& args) {
  parallel_for(0, args.planes * args.rows * args.cols, grain_for(0.15), [&](int64_t begin, int64_t end) {
    const PadArgs a = args;  // a copy that no write can reach: it stays in registers
    const int64_t run = a.end - a.begin;
    const E value = *static_cast<const E*>(a.value);
    int64_t row = begin / a.cols % a.rows, first = begin % a.cols;
    const E* plane = static_cast<const E*>(a.plain) + begin / a.cols / a.rows * a.plain_plane;
    E* y = static_cast<E*>(a.padded) + begin - first;
    for (int64_t left = end - begin + first; left > 0; left -= a.cols, y += a.cols, first = 0) {
      const E* x = a.row[row] < 0 ? nullptr : plane + a.row[row] * a.plain_cols;
      if (first || left < a.cols || !x) {
        pad_part(a, y, x, first, min_of(left, a.cols));
      } else {
        copy_row(y + a.begin, x + a.from, run);
        beside_run(a, [&](int64_t c) { y[c] = a.column[c] < 0 ? value : x[a.column[c]]; });
      }
      if (++row == a.rows) row = 0, plane += a.plain_plane;
    }
  });
}

template <class S>
void pad_sum_as(const PadArgs& a) {
  const double ns = static_cast<double>(a.rows) * (10 + 0.3 * static_cast<double>(a.cols));
  parallel_for(0, a.planes, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      S* plane = static_cast<S*>(a.plain) + p * a.plain_plane;
      for (int64_t i = 0; i < a.plain_plane; ++i) plane[i] = S{};
      for (int64_t r = 0; r < a.rows; ++r) {
        if (a.row[r] < 0) continue;
        const S* y = static_cast<const S*>(a.padded) + (p * a.rows + r) * a.cols;
        S* x = plane + a.row[r] * a.plain_cols;
        add_row(x + a.from, y + a.begin, a.end - a.begin);
        beside_run(a, [&](int64_t c) {
          if (const int64_t to = a.column[c]; to >= 0) x[to] = sum_of(x[to], y[c]);
        });
      }
    }
  });
}

}  // namespace

void pad(const PadArgs& a) {
  by_size(a.dtype, [&](auto e) { pad_as<decltype(e)>(a); });
}

void pad_sum(const PadArgs& a) {
  by_dtype(a.dtype, [&](auto s) { pad_sum_as<decltype(s)>(a); });
}

}  // namespace PYNN_CPU_NAMESPACE
