// resample.cpp -- a sparse linear map along one dim. Parallel over outputs; each is one sum in order.
#include "kernels/resample.h"

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// to[i] = sum_k w[k] x[k * stride + i], i < n
template <class T>
void sum_rows(const T* x, int64_t stride, const T* w, int64_t taps, int64_t n, T* to) {
  using V = Vec<T>;
  constexpr int64_t run = 4 * V::kSize;
  int64_t i = 0;
  for (; i + run <= n; i += run) {
    V acc[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
    for (int64_t k = 0; k < taps; ++k)
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) acc[u] = fma(V(w[k]), V::load(x + k * stride + i + u * V::kSize), acc[u]);
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) acc[u].store(to + i + u * V::kSize);
  }
  for (; i < n; i += V::kSize) {
    V acc(T(0));
    for (int64_t k = 0; k < taps; ++k) acc = fma(V(w[k]), V::load(x + k * stride + i, n - i), acc);
    acc.store(to + i, n - i);
  }
}

// Rows of `inner` elements: vectors along them.
template <class T>
void resample_rows(const ResampleArgs& a, const T* weight) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const double taps = static_cast<double>(a.first[a.out]) / static_cast<double>(a.out);
  parallel_for(0, a.outer * a.out, grain_for((taps + 1) * static_cast<double>(a.inner) / 8 + 5),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   const int64_t o = r % a.out;
                   sum_rows(x + (r / a.out * a.in + a.start[o]) * a.inner, a.inner, weight + a.first[o],
                            a.first[o + 1] - a.first[o], a.inner, y + r * a.inner);
                 }
               });
}

// Windows of one size at equal distances, with the same weights (kStep 0: any distance): the compiler's vectors run
// along the outputs.
template <class T, int kStep>
void uniform_row(const T* x, T* y, int64_t out, int64_t n, int64_t step, const T* w) {
  if (kStep) step = kStep;
  for (int64_t o = 0; o < out; ++o) y[o] = w[0] * x[o * step];
  for (int64_t k = 1; k < n; ++k)
    for (int64_t o = 0; o < out; ++o) y[o] += w[k] * x[o * step + k];
}

// One long sum.
template <class T>
T dot(const T* w, const T* x, int64_t n) {
  using V = Vec<T>;
  V acc(T(0));
  for (int64_t k = 0; k < n; k += V::kSize) acc = fma(V::load(w + k, n - k), V::load(x + k, n - k), acc);
  return reduce_add(acc);
}

// One output after the other.
template <class T>
void single_outputs(const ResampleArgs& a, const T* weight, const T* row, T* to, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; ++o) {
    const int64_t n = a.first[o + 1] - a.first[o];
    const T *from = row + a.start[o], *w = weight + a.first[o];
    if (n >= 2 * Vec<T>::kSize) {
      to[o] = dot(w, from, n);
      continue;
    }
    T sum = 0;
    for (int64_t k = 0; k < n; ++k) sum += w[k] * from[k];
    to[o] = sum;
  }
}

// Windows of one size, as in interpolation, a register of outputs at a time: each tap is a load and a permutation where
// they start within a register of each other, else a gather.
template <class T>
class Windows {
  using V = Vec<T>;
  using Int = typename V::Int;
  static constexpr int64_t L = V::kSize, kTaps = 8;

 public:
  Windows(const ResampleArgs& args, const T* w)
      : a(args), weight(w), blocks(ceil_div(a.out, L)), taps(blocks), place(blocks * L), turned(blocks * L * kTaps) {
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t o = b * L, many = min_of(L, a.out - o), n = a.first[o + 1] - a.first[o];
      bool fits = n > 0 && n <= kTaps, close = true;
      for (int64_t i = 0; i < many; ++i) {
        const int64_t from = a.start[o + i] - a.start[o];
        close &= from >= 0 && from < L;
        fits &= a.first[o + i + 1] - a.first[o + i] == n;
      }
      fits &= close || kHasGather;
      taps[b] = !fits ? 0 : close ? n : -n;
      for (int64_t i = 0; fits && i < L; ++i) {
        const int64_t at = o + min_of(i, many - 1);
        place[o + i] = static_cast<Int>(a.start[at] - a.start[o]);
        for (int64_t k = 0; k < n; ++k) turned[(b * kTaps + k) * L + i] = weight[a.first[at] + k];
      }
    }
  }
  void row(const T* x, T* y) const {
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t o = b * L, n = taps[b];
      if (n == 0) {
        single_outputs(a, weight, x, y, o, min_of(o + L, a.out));
        continue;
      }
      const Vec<Int> at = Vec<Int>::load(place.get() + o);
      const T *w = turned.get() + b * kTaps * L, *from = x + a.start[o];
      const int64_t left = a.in - a.start[o];
      V sum;
      if (n > 0) {
        sum = V::load(w) * permute(V::load(from, left), at);
        for (int64_t k = 1; k < n; ++k) sum = fma(V::load(w + k * L), permute(V::load(from + k, left - k), at), sum);
      } else {
        sum = V::load(w) * gather(from, at);
        for (int64_t k = 1; k < -n; ++k) sum = fma(V::load(w + k * L), gather(from + k, at), sum);
      }
      sum.store(y + o, a.out - o);
    }
  }

 private:
  const ResampleArgs& a;
  const T* weight;
  int64_t blocks;
  Scratch<int64_t> taps;  // of a block, negative where they are gathered; 0: its outputs are single ones
  Scratch<Int> place;
  Scratch<T> turned;
};

// Along the last dim: rows are short sums.
template <class T>
void resample_last(const ResampleArgs& a, const T* weight) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const int64_t n0 = a.first[1], step = a.out > 1 ? a.start[1] - a.start[0] : 1;
  bool uniform = n0 > 0 && a.out >= 4;
  for (int64_t o = 0; uniform && o < a.out; ++o) {
    uniform = a.first[o + 1] - a.first[o] == n0 && a.start[o] - a.start[0] == o * step;
    for (int64_t k = 0; uniform && k < n0; ++k) uniform = weight[a.first[o] + k] == weight[k];
  }
  const double ns = (static_cast<double>(a.first[a.out]) + static_cast<double>(a.out)) / 2;
  if (!uniform) {
    const Windows<T> windows(a, weight);
    parallel_for(0, a.outer, grain_for(ns / 2), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) windows.row(x + r * a.in, y + r * a.out);
    });
    return;
  }
  parallel_for(0, a.outer, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* from = x + r * a.in + a.start[0];
      T* to = y + r * a.out;
      if (step == 1)
        uniform_row<T, 1>(from, to, a.out, n0, step, weight);
      else if (step == 2)
        uniform_row<T, 2>(from, to, a.out, n0, step, weight);
      else
        uniform_row<T, 0>(from, to, a.out, n0, step, weight);
    }
  });
}

template <class T>
struct Weights : Scratch<T> {
  Weights(const double* weight, int64_t n) : Scratch<T>(n) {
    for (int64_t i = 0; i < n; ++i) (*this)[i] = static_cast<T>(weight[i]);
  }
};

template <class T>
void resample_as(const ResampleArgs& a) {
  const Weights<T> weight(a.weight, a.first[a.out]);
  a.inner == 1 ? resample_last<T>(a, weight.get()) : resample_rows<T>(a, weight.get());
}

// Row by row of the result: the sums of its rows of x stay in the cache.
template <class T>
void resample_plane_as(const ResamplePlaneArgs& a) {
  const auto &rows = a.rows, &columns = a.columns;
  const Weights<T> row_weight(rows.weight, rows.first[rows.out]),
      column_weight(columns.weight, columns.first[columns.out]);
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const int64_t n = columns.in * a.inner;
  const double taps =
      static_cast<double>(rows.first[rows.out]) / static_cast<double>(rows.out) * static_cast<double>(columns.in) +
      static_cast<double>(columns.first[columns.out] + columns.out);
  parallel_for(0, a.outer * rows.out, grain_for(taps * static_cast<double>(a.inner) / 8 + 20),
               [&](int64_t begin, int64_t end) {
                 const Scratch<T> sums(n);
                 for (int64_t r = begin; r < end; ++r) {
                   const int64_t o = r % rows.out, first = rows.first[o], taps = rows.first[o + 1] - first;
                   const T* row = x + (r / rows.out * rows.in + rows.start[o]) * n;
                   if (taps != 1 || row_weight[first] != T(1)) {
                     sum_rows(row, n, row_weight.get() + first, taps, n, sums.get());
                     row = sums.get();
                   }
                   for (int64_t c = 0; c < columns.out; ++c)
                     sum_rows(row + columns.start[c] * a.inner, a.inner, column_weight.get() + columns.first[c],
                              columns.first[c + 1] - columns.first[c], a.inner, y + (r * columns.out + c) * a.inner);
                 }
               });
}

}  // namespace

void resample(const ResampleArgs& a) {
  a.dtype == DType::Float32   ? resample_as<float>(a)
  : a.dtype == DType::Float64 ? resample_as<double>(a)
                              : resample_as<int64_t>(a);
}
void resample_plane(const ResamplePlaneArgs& a) {
  a.dtype == DType::Float32   ? resample_plane_as<float>(a)
  : a.dtype == DType::Float64 ? resample_plane_as<double>(a)
                              : resample_plane_as<int64_t>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
