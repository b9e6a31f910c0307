// softmax_columns.h -- softmax along columns of memory: x [n, inner], element (r, c) at r * inner + c.
//
//   tops and sums of columns, m = max(x) and sum(exp(x - m)), or of the backward sum(dy * y) or sum(dy);
//   then every element from those of its column
//
// Columns that fit L1 and L2 take both steps in one place. Longer ones are cut into tiles of rows that lie next to each
// other, as memory streams: each has totals of its own, which are merged, sum(s_i * exp(m_i - m)) for the forward.
// How they are cut is a matter of sizes alone. Sums: lanes of T over blocks of rows, double beyond.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/reduce_columns.h"
#include "kernels/cpu/row_math.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kRun = 128;  // columns that are worked on together

// n rows of w <= kRun columns, `stride` apart, the last one of only `tail`. Column c of the tensor is every
// c + i * period of these: few columns count as one wide row where they lie next to each other.
struct Run {
  int64_t n, stride, w, tail, period;
};
template <class T>
Run run_of(int64_t n, int64_t stride, int64_t w) {
  const int64_t group = kRun / w, wide = group * w;
  if (w != stride || w > 2 * Vec<T>::kSize || n < 4 * group) return {n, stride, w, w, w};
  const int64_t rows = ceil_div(n, group);
  return {rows, wide, wide, n * w - (rows - 1) * wide, w};
}

// f(row's offset, place in it) for the registers of rows [r0, r1).
template <class T, class F>
PYNN_INLINE void for_rows(const Run& run, int64_t r0, int64_t r1, F f) {
  for (int64_t r = r0; r < r1; ++r)
    along<T>(r + 1 < run.n ? run.w : run.tail, [=](auto at) __attribute__((always_inline)) { f(r * run.stride, at); });
}
// The same for all rows, merging part[c], which f adds to, into sum[c] after each block of rows; then over periods.
template <class T, class F>
PYNN_INLINE void sum_rows(const Run& run, T* part, double* sum, F f) {
  for (int64_t c = 0; c < run.w; ++c) sum[c] = 0;
  for (int64_t r = 0; r < run.n; r += kBlockRows) {
    for (int64_t c = 0; c < run.w; ++c) part[c] = 0;
    for_rows<T>(run, r, min_of(run.n, r + kBlockRows), f);
    merge_totals<Add<T>>(sum, part, run.w);
  }
}

// x[c], x[c + period], ... all become f of them.
template <class T, class F>
void share(T* x, const Run& run, F f) {
  for (int64_t c = run.period; c < run.w; ++c) x[c % run.period] = f(x[c % run.period], x[c]);
  for (int64_t c = run.period; c < run.w; ++c) x[c] = x[c - run.period];
}
template <class T>
T larger(T a, T b) {  // NaN wins
  return static_cast<T>(Extreme<T, true>::merge(Total<T>(a), Total<T>(b)));
}

// A softmax or log-softmax, or its backward (b given): totals of a run of columns, and elements from them.
template <class T>
struct Columns {
  using V = Vec<T>;
  T* out;
  const T *a, *b;
  bool of_log;

  Columns at(int64_t offset) const { return {out + offset, a + offset, b ? b + offset : nullptr, of_log}; }

  // top[c], sum[c]; of the forward `out` gets exponentials where `keep`.
  void totals(const Run& run, T* top, double* sum, bool keep) const {
    T part[kRun];
    if (b) {
      sum_rows(run, part, sum, [=, this, &part](int64_t row, auto at) __attribute__((always_inline)) {
        const V g = at.load(a + row), p = at.load(part);
        at.store(part, of_log ? p + g : fma(g, at.load(b + row), p));
      });
    } else {
      const Extreme<T, true> fold;
      for (int64_t c = 0; c < run.w; ++c) top[c] = kMinusInfinity<T>;
      int64_t r = 0;
      for (; r + 4 < run.n; r += 4) {
        const T* const rows[] = {a + r * run.stride, a + (r + 1) * run.stride, a + (r + 2) * run.stride,
                                 a + (r + 3) * run.stride};
        fold_rows<4>(fold, top, rows, run.w, static_cast<const T*>(nullptr));
      }
      for (; r < run.n; ++r) {
        const T* row = a + r * run.stride;
        fold_rows<1>(fold, top, &row, r + 1 < run.n ? run.w : run.tail, static_cast<const T*>(nullptr));
      }
      share(top, run, larger<T>);
      sum_rows(run, part, sum, [=, this, &part](int64_t row, auto at) __attribute__((always_inline)) {
        const V e = exp_negative(at.load(a + row) - at.load(top));
        if (keep) at.store(out + row, e);
        at.store(part, at.load(part) + e);
      });
    }
    share(sum, run, [](double p, double q) { return p + q; });
  }

  // What elements need of the sums of w columns, in T.
  void factors(int64_t w, double* sum, T* factor) const {
    for (int64_t c = 0; c < w && !b; c += VecD::kSize) {
      const VecD s = VecD::load(sum + c, w - c);
      (of_log ? log(s) : VecD(1) / s).store(sum + c, w - c);
    }
    for (int64_t c = 0; c < w; ++c) factor[c] = static_cast<T>(sum[c]);
  }

  // `kept`: `out` holds the exponentials.
  void elements(const Run& run, const T* top, const T* factor, bool kept) const {
    T* const to = out;
    const T *const x = a, *const y = b;
    const auto all = [&](auto f) __attribute__((always_inline)) {
      for_rows<T>(run, 0, run.n, [=](int64_t row, auto at) __attribute__((always_inline)) {
        at.store(to + row, f(row, at, at.load(factor)));
      });
    };
    if (b && of_log)
      all([=](int64_t r, auto at, V s)
              __attribute__((always_inline)) { return fnma(exp(at.load(y + r)), s, at.load(x + r)); });
    else if (b)
      all([=](int64_t r, auto at, V s)
              __attribute__((always_inline)) { return (at.load(x + r) - s) * at.load(y + r); });
    else if (of_log)
      all([=](int64_t r, auto at, V l) __attribute__((always_inline)) { return at.load(x + r) - at.load(top) - l; });
    else if (kept)
      all([=](int64_t r, auto at, V s) __attribute__((always_inline)) { return at.load(to + r) * s; });
    else
      all([=](int64_t r, auto at, V s)
              __attribute__((always_inline)) { return exp_negative(at.load(x + r) - at.load(top)) * s; });
  }

  // w <= kRun columns of n rows.
  void whole(int64_t n, int64_t stride, int64_t w) const {
    const Run run = run_of<T>(n, stride, w);
    T top[kRun], factor[kRun];
    double sum[kRun];
    totals(run, top, sum, !of_log);
    factors(run.w, sum, factor);
    elements(run, top, factor, !of_log);
  }
};

// top[c], factor[c] of w columns from those of their tiles, `stride` apart. A tile of -inf has no sum, unless all have.
template <class T>
void merge_tiles(const Columns<T>& columns, const T* tops, const double* sums, int64_t tiles, int64_t stride, int64_t w,
                 T* top, T* factor) {
  double sum[kRun];
  T weight[kRun];
  for (int64_t c = 0; c < w; ++c) sum[c] = 0, weight[c] = 1, top[c] = kMinusInfinity<T>;
  for (int64_t t = 0; t < tiles && !columns.b; ++t)
    for (int64_t c = 0; c < w; ++c) top[c] = larger(top[c], tops[t * stride + c]);
  for (int64_t t = 0; t < tiles; ++t) {
    const T* own = tops + t * stride;
    if (!columns.b) along<T>(w, [&](auto at) { at.store(weight, exp_negative(at.load(own) - at.load(top))); });
    for (int64_t c = 0; c < w; ++c) {
      const bool empty = !columns.b && own[c] == kMinusInfinity<T> && top[c] != kMinusInfinity<T>;
      sum[c] += empty ? 0 : static_cast<double>(weight[c]) * sums[t * stride + c];
    }
  }
  columns.factors(w, sum, factor);
}

// [outer, n, inner] in tiles.
template <class T>
void softmax_tiles(const Columns<T>& all, int64_t outer, int64_t n, int64_t inner) {
  constexpr int64_t kTile = 1 << 15, kWidest = 1024;  // elements, columns
  const int64_t width = min_of(inner, kWidest), strips = ceil_div(inner, width), height = kTile / width,
                tiles = ceil_div(n, height);
  const Scratch<T> tops(outer * tiles * inner);
  const Scratch<double> sums(outer * tiles * inner);
  // f(columns from this place, run, place among the totals) for each run of columns of each tile
  const auto for_tiles = [&](auto f) {
    parallel_for(0, outer * tiles * strips, grain_for(0.7 * kTile), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t strip = i % strips, tile = i / strips % tiles, o = i / strips / tiles, r = tile * height;
        for (int64_t c = strip * width; c < min_of(inner, (strip + 1) * width); c += kRun)
          f(all.at((o * n + r) * inner + c),
            run_of<T>(min_of(height, n - r), inner, min_of(kRun, min_of(inner, (strip + 1) * width) - c)), o, tile, c);
      }
    });
  };
  for_tiles([&](const Columns<T>& columns, const Run& run, int64_t o, int64_t tile, int64_t c) {
    T top[kRun];
    double sum[kRun];
    columns.totals(run, top, sum, false);
    const int64_t to = (o * tiles + tile) * inner + c;
    for (int64_t i = 0; i < run.period; ++i) sums[to + i] = sum[i];
    for (int64_t i = 0; i < run.period && !columns.b; ++i) tops[to + i] = top[i];
  });
  const Scratch<T> top(outer * inner), factor(outer * inner);
  const int64_t runs = ceil_div(inner, kRun);
  parallel_for(0, outer * runs, grain_for(static_cast<double>(tiles * kRun)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % runs * kRun, w = min_of(kRun, inner - c), o = i / runs;
      merge_tiles(all, tops.get() + o * tiles * inner + c, sums.get() + o * tiles * inner + c, tiles, inner, w,
                  top.get() + o * inner + c, factor.get() + o * inner + c);
    }
  });
  for_tiles([&](const Columns<T>& columns, const Run& run, int64_t o, int64_t, int64_t c) {
    T m[kRun], f[kRun];
    for (int64_t i = 0; i < run.w; ++i) {
      const int64_t from = o * inner + c + i % run.period;
      m[i] = columns.b ? T(0) : top[from];
      f[i] = factor[from];
    }
    columns.elements(run, m, f, false);
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
