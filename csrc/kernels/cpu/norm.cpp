// norm.cpp -- layer normalisation of rows [rows, n], forward and backward.
//
//   y = h w + b,  h = (x - mean) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps)
//   not centered: mean = 0 throughout, mean(g) too
//   g = dy w,  dx = rstd (g - mean(g) - h mean(g h)),  dweight = sum_r dy h,  dbias = sum_r dy
//
// Parallel over rows; dweight and dbias over fixed runs of rows, merged in order. Row sums: lanes of T over blocks,
// double beyond; sums over rows: T over 32 rows, double beyond. Half types work in float32.
#include "kernels/norm.h"

#include "core/parallel.h"
#include "kernels/cpu/row_math.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// n elements of `dtype` as T: themselves, or converted into the scratch memory.
template <class T>
struct Rows {
  Source<T> source;
  Scratch<T> buffer;
  Rows(const void* x, DType dtype, int64_t n) : source(x, dtype), buffer(source.convert ? n : 0) {}
  const T* get(int64_t offset, int64_t n) const { return source.get(offset, n, buffer.get()); }
};

template <class T>
void forward(const LayerNormArgs& a) {
  using V = Vec<T>;
  const int64_t n = a.n;
  const Rows<T> weights(a.weight, a.dtype, n), biases(a.bias, a.dtype, n);
  const T* w = a.weight ? weights.get(0, n) : nullptr;
  const T* b = a.bias ? biases.get(0, n) : nullptr;
  const Convert store = weights.source.convert ? converter(a.dtype, DTypeOf<T>::value) : nullptr;
  const int64_t item = weights.source.item;
  parallel_for(0, a.rows, grain_for(static_cast<double>(n) + 20), [&](int64_t begin, int64_t end) {
    const Rows<T> rows(a.x, a.dtype, n);
    const Scratch<T> out(store ? n : 0);
    for (int64_t r = begin; r < end; ++r) {
      const T* x = rows.get(r * n, n);
      const T mean = a.centered ? static_cast<T>(row_sum(x, n) / static_cast<double>(n)) : T(0);
      const T rstd = static_cast<T>(1 / __builtin_sqrt(row_squares(x, n, mean) / static_cast<double>(n) + a.eps));
      T* y = store ? out.get() : static_cast<T*>(a.y) + r * n;
      const V m(mean), s(rstd);
      for (int64_t i = 0; i < n; i += V::kSize) {
        V v = (V::load(x + i, n - i) - m) * s;
        if (w) v *= V::load(w + i, n - i);
        if (b) v += V::load(b + i, n - i);
        v.store(y + i, n - i);
      }
      if (store) store(static_cast<char*>(a.y) + r * n * item, {0, 1}, y, {0, 1}, 1, n);
      static_cast<T*>(a.mean)[r] = mean;
      static_cast<T*>(a.rstd)[r] = rstd;
    }
  });
}

// One row: dx, and dy * h and dy added to the sums where wanted.
template <class T>
void backward_row(const T* x, const T* dy, const T* w, T mean, T rstd, int64_t n, bool centered, T* dx, T* dw, T* db) {
  using V = Vec<T>;
  const V m(mean), s(rstd), zero(T(0));
  if (dw || db)
    for (int64_t i = 0; i < n; i += V::kSize) {
      const V g = V::load(dy + i, n - i);
      if (dw) fma(g, (V::load(x + i, n - i) - m) * s, V::load(dw + i, n - i)).store(dw + i, n - i);
      if (db) (V::load(db + i, n - i) + g).store(db + i, n - i);
    }
  if (!dx) return;
  double sum_g = 0, sum_gh = 0;
  for (int64_t i0 = 0; i0 < n; i0 += kRowBlock) {
    V acc = zero, acc_h = zero;
    const int64_t i1 = min_of(n, i0 + kRowBlock);
    for (int64_t i = i0; i < i1; i += V::kSize) {
      V g = V::load(dy + i, i1 - i);  // lanes beyond the row are 0
      if (w) g *= V::load(w + i, i1 - i);
      acc += g;
      acc_h = fma(g, (V::load(x + i, i1 - i) - m) * s, acc_h);
    }
    sum_g += static_cast<double>(reduce_add(acc));
    sum_gh += static_cast<double>(reduce_add(acc_h));
  }
  const V mean_g(centered ? static_cast<T>(sum_g / static_cast<double>(n)) : T(0)),
      mean_gh(static_cast<T>(sum_gh / static_cast<double>(n)));
  for (int64_t i = 0; i < n; i += V::kSize) {
    V g = V::load(dy + i, n - i);
    if (w) g *= V::load(w + i, n - i);
    const V h = (V::load(x + i, n - i) - m) * s;
    (s * (g - mean_g - h * mean_gh)).store(dx + i, n - i);
  }
}

template <class T>
void backward(const LayerNormArgs& a) {
  const int64_t n = a.n;
  const Rows<T> weights(a.weight, a.dtype, n);
  const T* w = a.weight ? weights.get(0, n) : nullptr;
  const bool half = weights.source.convert != nullptr, sums = a.dweight || a.dbias;
  const Convert store = half ? converter(a.dtype, DTypeOf<T>::value) : nullptr;
  const int64_t item = weights.source.item;
  // Runs of rows: at most 64, of at least 32.
  const int64_t run = max_of<int64_t>(kBlockRows, ceil_div(a.rows, 64)), runs = ceil_div(a.rows, run);
  const Scratch<double> totals(sums ? runs * 2 * n : 0);
  parallel_for(0, runs, grain_for(2 * static_cast<double>(n * min_of(run, a.rows)) + 50),
               [&](int64_t begin, int64_t end) {
                 const Rows<T> xs(a.x, a.dtype, n), dys(a.dy, a.dtype, n);
                 const Scratch<T> part(sums ? 2 * n : 0), out(half ? n : 0);
                 for (int64_t k = begin; k < end; ++k) {
                   double* total = totals.get() + k * 2 * n;
                   if (sums)
                     for (int64_t i = 0; i < 2 * n; ++i) total[i] = 0;
                   for (int64_t r0 = k * run; r0 < min_of(a.rows, (k + 1) * run); r0 += kBlockRows) {
                     if (sums)
                       for (int64_t i = 0; i < 2 * n; ++i) part[i] = T(0);
                     for (int64_t r = r0; r < min_of(r0 + kBlockRows, min_of(a.rows, (k + 1) * run)); ++r) {
                       T* dx = !a.dx ? nullptr : half ? out.get() : static_cast<T*>(a.dx) + r * n;
                       backward_row(xs.get(r * n, n), dys.get(r * n, n), w, static_cast<const T*>(a.mean)[r],
                                    static_cast<const T*>(a.rstd)[r], n, a.centered, dx,
                                    a.dweight ? part.get() : nullptr, a.dbias ? part.get() + n : nullptr);
                       if (half && dx) store(static_cast<char*>(a.dx) + r * n * item, {0, 1}, dx, {0, 1}, 1, n);
                     }
                     if (sums)
                       for (int64_t i = 0; i < 2 * n; ++i) total[i] += static_cast<double>(part[i]);
                   }
                 }
               });
  if (!sums) return;
  const Convert from_double = converter(a.dtype, DType::Float64);
  const Scratch<double> sum(2 * n);
  for (int64_t i = 0; i < 2 * n; ++i) {
    sum[i] = 0;
    for (int64_t k = 0; k < runs; ++k) sum[i] += totals[k * 2 * n + i];
  }
  if (a.dweight) from_double(a.dweight, {0, 1}, sum.get(), {0, 1}, 1, n);
  if (a.dbias) from_double(a.dbias, {0, 1}, sum.get() + n, {0, 1}, 1, n);
}

}  // namespace

void layer_norm_forward(const LayerNormArgs& a) {
  if (!is_floating(a.dtype)) no_loop("layer_norm", a.dtype);
  a.dtype == DType::Float64 ? forward<double>(a) : forward<float>(a);
}

void layer_norm_backward(const LayerNormArgs& a) {
  if (!is_floating(a.dtype)) no_loop("layer_norm", a.dtype);
  a.dtype == DType::Float64 ? backward<double>(a) : backward<float>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
