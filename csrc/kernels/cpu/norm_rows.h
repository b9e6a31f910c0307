// norm_rows.h -- normalisation of rows [rows, n], forward and backward: layer norm, and group norm of vectors.
//
//   y = h w + b,  h = (x - mean) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps)
//   not centered: mean = 0 throughout, mean(g) too
//   g = dy w,  dx = rstd (g - mean(g) - h mean(g h)),  dweight = sum_r dy h,  dbias = sum_r dy
//
// Row r takes the weights of group r % groups: w, b, dweight and dbias are [groups, n]. Parallel over rows; dweight and
// dbias over fixed runs of rows, merged in order. Row sums: lanes of T over blocks, double beyond; sums over rows: T
// over 32 rows of a group, double beyond. Half types work in float32.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/row_math.h"
#include "kernels/cpu/scratch.h"
#include "kernels/norm.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// n elements of `dtype` as T: themselves, or converted into the scratch memory.
template <class T>
struct Rows {
  Source<T> source;
  Scratch<T> buffer;
  Rows(const void* x, DType dtype, int64_t n) : source(x, dtype), buffer(source.convert ? n : 0) {}
  PYNN_INLINE const T* get(int64_t offset, int64_t n) const { return source.get(offset, n, buffer.get()); }
};

// The group of consecutive rows.
class Group {
 public:
  PYNN_INLINE Group(int64_t row, int64_t groups) : group_(groups > 1 ? row % groups : 0), groups_(groups) {}
  PYNN_INLINE int64_t next() {
    const int64_t g = group_;
    if (++group_ == groups_) group_ = 0;
    return g;
  }

 private:
  int64_t group_, groups_;
};

template <class T>
PYNN_INLINE void normalize_row(T* y, const T* x, const T* w, const T* b, T mean, T rstd, int64_t n) {
  using V = Vec<T>;
  const V m(mean), s(rstd);
  if (w && b)
    along<T>(n, [=](auto at) { at.store(y, fma((at.load(x) - m) * s, at.load(w), at.load(b))); });
  else if (w)
    along<T>(n, [=](auto at) { at.store(y, (at.load(x) - m) * s * at.load(w)); });
  else if (b)
    along<T>(n, [=](auto at) { at.store(y, fma(at.load(x) - m, s, at.load(b))); });
  else
    along<T>(n, [=](auto at) { at.store(y, (at.load(x) - m) * s); });
}

template <class T>
void norm_rows_forward(const LayerNormArgs& a, int64_t groups) {
  const int64_t n = a.n;
  const Rows<T> weights(a.weight, a.dtype, groups * n), biases(a.bias, a.dtype, groups * n);
  const T* w = a.weight ? weights.get(0, groups * n) : nullptr;
  const T* b = a.bias ? biases.get(0, groups * n) : nullptr;
  const Convert store = weights.source.convert ? converter(a.dtype, DTypeOf<T>::value) : nullptr;
  const int64_t item = weights.source.item;
  const double count = static_cast<double>(n);
  parallel_for(0, a.rows, grain_for(0.2 * count + 20), [&](int64_t begin, int64_t end) {
    const Rows<T> rows(a.x, a.dtype, n);
    const Scratch<T> out(store ? n : 0);
    Group group(begin, groups);
    for (int64_t r = begin; r < end; ++r) {
      const T* x = rows.get(r * n, n);
      const int64_t at = group.next() * n;
      const T mean = a.centered ? static_cast<T>(row_sum(x, n) / count) : T(0);
      const T rstd = static_cast<T>(1 / __builtin_sqrt(row_squares(x, n, mean) / count + a.eps));
      T* y = store ? out.get() : static_cast<T*>(a.y) + r * n;
      normalize_row(y, x, w ? w + at : nullptr, b ? b + at : nullptr, mean, rstd, n);
      if (store) store(static_cast<char*>(a.y) + r * n * item, {0, 1}, y, {0, 1}, 1, n);
      static_cast<T*>(a.mean)[r] = mean;
      static_cast<T*>(a.rstd)[r] = rstd;
    }
  });
}

template <class T>
struct NormRow {
  const T *x, *dy, *w;
  T mean, rstd;
  int64_t n;
  bool centered;
};
// dx where it is wanted; kSums: dy * h and dy are added to dw and db.
template <class T, bool kWeight, bool kSums>
void norm_row_backward(const NormRow<T>& r, T* dx, T* dw, T* db) {
  using V = Vec<T>;
  const T *x = r.x, *dy = r.dy, *w = r.w;
  const V m(r.mean), s(r.rstd);
  double sum_g = 0, sum_gh = 0;
  for (int64_t i0 = 0; i0 < r.n; i0 += kRowBlock) {
    V acc(T(0)), acc_h(T(0));
    along<T>(min_of(kRowBlock, r.n - i0), [&](auto at) {
      at.i += i0;
      V g = at.load(dy);  // lanes beyond the row are 0
      const V h = (at.load(x) - m) * s;
      if constexpr (kSums) {
        at.store(dw, fma(g, h, at.load(dw)));
        at.store(db, at.load(db) + g);
      }
      if constexpr (kWeight) g *= at.load(w);
      acc += g;
      acc_h = fma(g, h, acc_h);
    });
    sum_g += static_cast<double>(reduce_add(acc));
    sum_gh += static_cast<double>(reduce_add(acc_h));
  }
  if (!dx) return;
  const double count = static_cast<double>(r.n);
  const V mean_g(r.centered ? static_cast<T>(sum_g / count) : T(0)), mean_gh(static_cast<T>(sum_gh / count));
  along<T>(r.n, [=](auto at) {
    V g = at.load(dy);
    if constexpr (kWeight) g *= at.load(w);
    at.store(dx, s * (g - fma((at.load(x) - m) * s, mean_gh, mean_g)));
  });
}

// total += part; part = 0
template <class T>
PYNN_INLINE void flush(double* total, T* part, int64_t n) {
  using V = Vec<T>;
  along<T>(n, [=](auto at) {
    if constexpr (std::is_same_v<T, float>) {
      constexpr int half = VecD::kSize;
      alignas(64) double wide[2 * half] = {};
      VecD low, high;
      widen(at.load(part), low, high);
      low.store(wide), high.store(wide + half);
      if constexpr (std::is_same_v<decltype(at), Whole<T>>) {
        (VecD::load(total + at.i) + low).store(total + at.i);
        (VecD::load(total + at.i + half) + high).store(total + at.i + half);
      } else {
        for (int64_t k = 0; k < at.n; ++k) total[at.i + k] += wide[k];
      }
    } else {
      at.store(total, at.load(total) + at.load(part));
    }
    at.store(part, V(T(0)));
  });
}

template <class T>
void norm_rows_backward(const LayerNormArgs& a, int64_t groups) {
  const int64_t n = a.n, all = groups * n;
  const Rows<T> weights(a.weight, a.dtype, all);
  const T* w = a.weight ? weights.get(0, all) : nullptr;
  const bool half = weights.source.convert != nullptr, sums = a.dweight || a.dbias;
  const Convert store = half ? converter(a.dtype, DTypeOf<T>::value) : nullptr;
  const int64_t item = weights.source.item;
  const auto row_backward = w ? (sums ? norm_row_backward<T, true, true> : norm_row_backward<T, true, false>)
                              : (sums ? norm_row_backward<T, false, true> : norm_row_backward<T, false, false>);
  // Runs of rows: at most 64, of at least one block.
  const int64_t block = kBlockRows * groups, run = round_up(max_of(block, ceil_div(a.rows, 64)), block);
  const int64_t runs = ceil_div(a.rows, run);
  const Scratch<double> totals(sums ? runs * 2 * all : 0);
  const double ns = static_cast<double>((n + 15) * min_of(run, a.rows)) + 50;
  parallel_for(0, runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    const Rows<T> xs(a.x, a.dtype, n), dys(a.dy, a.dtype, n);
    const Scratch<T> part(sums ? 2 * all : 0), out(half ? n : 0);
    for (int64_t i = 0; sums && i < 2 * all; ++i) part[i] = T(0);
    for (int64_t k = begin; k < end; ++k) {
      double* total = totals.get() + k * 2 * all;
      for (int64_t i = 0; sums && i < 2 * all; ++i) total[i] = 0;
      Group group(k * run, groups);
      for (int64_t r0 = k * run; r0 < min_of(a.rows, (k + 1) * run); r0 += block) {
        for (int64_t r = r0; r < min_of(r0 + block, a.rows); ++r) {
          T* dx = !a.dx ? nullptr : half ? out.get() : static_cast<T*>(a.dx) + r * n;
          const int64_t at = group.next() * n;
          row_backward({xs.get(r * n, n), dys.get(r * n, n), w ? w + at : nullptr, static_cast<const T*>(a.mean)[r],
                        static_cast<const T*>(a.rstd)[r], n, a.centered},
                       dx, sums ? part.get() + at : nullptr, sums ? part.get() + all + at : nullptr);
          if (half && dx) store(static_cast<char*>(a.dx) + r * n * item, {0, 1}, dx, {0, 1}, 1, n);
        }
        if (sums) flush(total, part.get(), 2 * all);
      }
    }
  });
  if (!sums) return;
  double* sum = totals.get();
  for (int64_t k = 1; k < runs; ++k)
    along<double>(2 * all, [=](auto at) { at.store(sum, at.load(sum) + at.load(sum + k * 2 * all)); });
  const Convert from_double = converter(a.dtype, DType::Float64);
  if (a.dweight) from_double(a.dweight, {0, 1}, sum, {0, 1}, 1, all);
  if (a.dbias) from_double(a.dbias, {0, 1}, sum + all, {0, 1}, 1, all);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
