// channel_norm_columns.h -- batch norm of rows of channels: x [N, C], or [N, C, L] in channels last order.
//
// Statistics are of columns, whose vectors stand next to each other. A block of rows is summed in lanes of T, blocks
// and parts of rows (by sizes alone) in double; the variance of a block is taken around its own mean.
#pragma once
#include "kernels/channel_norm.h"
#include "kernels/cpu/norm_rows.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kCached = 4 << 20;  // bytes of a tensor that is read twice

template <class T>
struct Norm {
  const ChannelNormArgs& a;
  const T *x, *dy, *weight, *bias;
  T *y, *mean, *rstd, *dx;
  double n;  // elements of a statistic

  explicit Norm(const ChannelNormArgs& args)
      : a(args),
        x(static_cast<const T*>(args.x)),
        dy(static_cast<const T*>(args.dy)),
        weight(static_cast<const T*>(args.weight)),
        bias(static_cast<const T*>(args.bias)),
        y(static_cast<T*>(args.y)),
        mean(static_cast<T*>(args.mean)),
        rstd(static_cast<T*>(args.rstd)),
        dx(static_cast<T*>(args.dx)),
        n(static_cast<double>(args.chunks * args.length)) {}
  Vec<T> low() const { return Vec<T>(a.relu ? T(0) : -static_cast<T>(__builtin_huge_val())); }  // NaN stays
  int64_t at(int64_t s, int64_t m) const { return s * a.stat_step + m * a.chunk_step; }
  int64_t channel(int64_t s, int64_t m) const { return a.groups ? s % a.groups * a.chunks + m : s; }
  bool columns() const { return a.length == 1 && a.stat_step == 1 && !a.groups; }
  bool rows() const {
    return a.length == 1 && a.chunk_step == 1 && a.groups && a.measure && !a.running_mean && !a.relu;
  }
  LayerNormArgs row_args() const {
    return {a.x,      a.y,   a.weight, a.bias, a.mean, a.rstd,    a.dtype, a.stats,
            a.chunks, a.eps, true,     a.dy,   a.dx,   a.dweight, a.dbias};
  }
  // How far to write from the start of run m: over its end by whole registers, where runs that come after lie there.
  int64_t steps(int64_t m) const {
    const int64_t whole = round_up(a.length, Vec<T>::kSize);
    return joined() && whole <= (a.chunks - m) * a.length ? whole : a.length;
  }
  // In the order of memory, where a statistic's runs are apart: so a core meets the images that it wrote in the op
  // before, and runs of a few pixels do not make it jump. Not where the second pass would find nothing in the caches.
  bool by_runs() const {
    return !a.groups && a.chunks * a.stats * a.length * static_cast<int64_t>(sizeof(T)) <= kCached;
  }
  template <class F>
  void for_runs(double ns, F f) const {
    parallel_for(0, a.chunks * a.stats, grain_for(ns * static_cast<double>(a.length) + 5),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) f(i % a.stats, i / a.stats);
                 });
  }
  // Runs that lie next to each other are one, for the statistics.
  bool joined() const { return a.chunk_step == a.length; }
  void move(void* running, int64_t s, double to) const {
    if (!running) return;
    T& r = static_cast<T*>(running)[s];
    r = static_cast<T>((1 - a.momentum) * static_cast<double>(r) + a.momentum * to);
  }
  void measured(int64_t s, double m, double var) const {
    mean[s] = static_cast<T>(m);
    rstd[s] = static_cast<T>(1 / __builtin_sqrt(var + a.eps));
    move(a.running_mean, s, m);
    move(a.running_var, s, var * (n / (n - 1)));
  }
};

// Rows are cut into parts, columns into runs, by sizes alone. f(part, first row, end, first column, end)
struct Tiles {
  const int64_t rows, columns, parts, runs;
  static constexpr int64_t kRows = 256, kMostParts = 64, kColumns = 256;
  explicit Tiles(const ChannelNormArgs& a)
      : rows(a.chunks),
        columns(a.stats),
        parts(clamp_of(rows / kRows, 1, kMostParts)),
        runs(max_of<int64_t>(1, columns / kColumns)) {}

  template <class F>
  PYNN_INLINE void each(F f) const {
    const double ns =
        0.3 * static_cast<double>(rows) * static_cast<double>(columns) / static_cast<double>(parts * runs);
    parallel_for(0, parts * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t part = i / runs, run = i % runs;
        f(part, rows * part / parts, rows * (part + 1) / parts, columns * run / runs, columns * (run + 1) / runs);
      }
    });
  }
};

// f(first column, its vectors as a constant, elements of the last one)
template <int N>
struct Vectors {
  static constexpr int value = N;
};
template <class T, class F>
PYNN_INLINE void for_columns(int64_t begin, int64_t end, F f) {
  constexpr int64_t W = Vec<T>::kSize;
  for (; begin + 4 * W <= end; begin += 4 * W) f(begin, Vectors<4>(), W);
  for (; begin < end; begin += W) f(begin, Vectors<1>(), min_of(W, end - begin));
}

constexpr int64_t kSumBlock = 64;  // rows that are summed in lanes of T

// Adds n elements around a mean of their own to what `mean` and `squares` hold of `before` others (Chan et al. 1979).
PYNN_INLINE void merge(double& mean, double& squares, double before, double by, double by_squares, double n) {
  const double off = by - mean, share = n / (before + n);
  mean += off * share;
  squares += by_squares + off * off * before * share;
}

// Mean and sum of squares around it of rows [r0, r1): one pass, the second reading of a block comes from L1.
template <class T, int NV>
void measure_columns(const T* x, int64_t step, int64_t rows, int64_t n, double* mean, double* squares) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const auto load = [n](const T* at) { return NV == 1 ? V::load(at, n) : V::load(at); };
  for (int64_t r0 = 0; r0 < rows; r0 += kSumBlock) {
    const int64_t count = min_of(kSumBlock, rows - r0);
    const T* const from = x + r0 * step;
    V sum[NV], square[NV];
    for (int v = 0; v < NV; ++v) sum[v] = square[v] = V(T(0));
    for (int64_t r = 0; r < count; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[v] += load(from + r * step + v * W);
    V center[NV];
    for (int v = 0; v < NV; ++v) center[v] = sum[v] * V(T(1) / static_cast<T>(count));
    for (int64_t r = 0; r < count; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const V d = load(from + r * step + v * W) - center[v];
        square[v] = fma(d, d, square[v]);
      }
    T sums[NV * W], all[NV * W];
    for (int v = 0; v < NV; ++v) sum[v].store(sums + v * W), square[v].store(all + v * W);
    const double before = static_cast<double>(r0), many = static_cast<double>(count), each = 1 / many;
    for (int64_t l = 0; l < (NV - 1) * W + n; ++l)
      merge(mean[l], squares[l], before, static_cast<double>(sums[l]) * each, static_cast<double>(all[l]), many);
  }
}

template <class T, class S>
void apply_columns(const Norm<T>& p, const S* from, S* to) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const int64_t step = p.a.chunk_step;
  const V low = p.low();
  Tiles(p.a).each([&](int64_t, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
    for_columns<T>(c0, c1, [&](int64_t c, auto vectors, int64_t n) {
      constexpr int NV = decltype(vectors)::value;
      V mean[NV], scale[NV], shift[NV];
      for (int v = 0; v < NV; ++v) {
        const int64_t at = c + v * W;
        mean[v] = V::load(p.mean + at, n), scale[v] = V::load(p.rstd + at, n), shift[v] = V(T(0));
        if (p.weight) scale[v] *= V::load(p.weight + at, n);
        if (p.bias) shift[v] = V::load(p.bias + at, n);
      }
      for (int64_t r = r0; r < r1; ++r) {
        const S* const x = from + r * step + c;
        S* const y = to + r * step + c;
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v)
          if constexpr (NV == 1)
            store_wide(y, max(low, fma(load_wide(x, n) - mean[v], scale[v], shift[v])), n);
          else
            store_wide(y + v * W, max(low, fma(load_wide(x + v * W) - mean[v], scale[v], shift[v])));
      }
    });
  });
}

template <class T>
void forward_columns(const Norm<T>& p) {
  const Tiles tiles(p.a);
  const int64_t columns = tiles.columns;
  if (p.a.measure) {
    const Scratch<double> mean(tiles.parts * columns), squares(tiles.parts * columns);
    tiles.each([&](int64_t part, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
      for (int64_t c = c0; c < c1; ++c) mean[part * columns + c] = squares[part * columns + c] = 0;
      for_columns<T>(c0, c1, [&](int64_t c, auto vectors, int64_t n) {
        measure_columns<T, decltype(vectors)::value>(p.x + r0 * p.a.chunk_step + c, p.a.chunk_step, r1 - r0, n,
                                                     mean.get() + part * columns + c,
                                                     squares.get() + part * columns + c);
      });
    });
    int64_t before = tiles.rows / tiles.parts;
    for (int64_t part = 1; part < tiles.parts; ++part) {
      const int64_t end = tiles.rows * (part + 1) / tiles.parts;
      for (int64_t c = 0; c < columns; ++c)
        merge(mean[c], squares[c], static_cast<double>(before), mean[part * columns + c], squares[part * columns + c],
              static_cast<double>(end - before));
      before = end;
    }
    for (int64_t c = 0; c < columns; ++c) p.measured(c, mean[c], squares[c] / p.n);
  }
  apply_columns(p, p.x, p.y);
}

// The sums of dy and of dy (x - mean) over `rows` rows.
template <class T, int NV>
void sum_gradients(const T* dy, const T* x, int64_t step, int64_t rows, int64_t n, const T* mean, double* total,
                   double* total_x) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const auto load = [n](const T* at) { return NV == 1 ? V::load(at, n) : V::load(at); };
  const int64_t many = (NV - 1) * W + n;
  for (int64_t l = 0; l < many; ++l) total[l] = total_x[l] = 0;
  V m[NV];
  for (int v = 0; v < NV; ++v) m[v] = load(mean + v * W);
  for (int64_t b = 0; b < rows; b += kSumBlock) {
    V sum[NV], by_x[NV];
    for (int v = 0; v < NV; ++v) sum[v] = by_x[v] = V(T(0));
    for (int64_t r = b; r < min_of(rows, b + kSumBlock); ++r)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const V d = load(dy + r * step + v * W);
        sum[v] += d;
        by_x[v] = fma(d, load(x + r * step + v * W) - m[v], by_x[v]);
      }
    T sums[NV * W], sums_x[NV * W];
    for (int v = 0; v < NV; ++v) sum[v].store(sums + v * W), by_x[v].store(sums_x + v * W);
    for (int64_t l = 0; l < many; ++l) {
      total[l] += static_cast<double>(sums[l]);
      total_x[l] += static_cast<double>(sums_x[l]);
    }
  }
}

template <class T>
void backward_columns(const Norm<T>& p) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const ChannelNormArgs& a = p.a;
  const Tiles tiles(a);
  const int64_t step = a.chunk_step, columns = tiles.columns;
  const Scratch<double> g(tiles.parts * columns), gx(tiles.parts * columns);  // sum dy, sum dy (x - mean)
  tiles.each([&](int64_t part, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
    for_columns<T>(c0, c1, [&](int64_t c, auto vectors, int64_t n) {
      sum_gradients<T, decltype(vectors)::value>(p.dy + r0 * step + c, p.x + r0 * step + c, step, r1 - r0, n,
                                                 p.mean + c, g.get() + part * columns + c,
                                                 gx.get() + part * columns + c);
    });
  });
  const Scratch<T> scale(columns), by_x(columns), shift(columns);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t part = 1; part < tiles.parts; ++part) {
      g[c] += g[part * columns + c];
      gx[c] += gx[part * columns + c];
    }
    if (a.dweight) static_cast<T*>(a.dweight)[c] = static_cast<T>(gx[c] * static_cast<double>(p.rstd[c]));
    if (a.dbias) static_cast<T*>(a.dbias)[c] = static_cast<T>(g[c]);
    scale[c] = p.weight ? p.rstd[c] * p.weight[c] : p.rstd[c];
    by_x[c] = a.measure ? static_cast<T>(-gx[c] / p.n) * (p.rstd[c] * p.rstd[c]) : T(0);
    shift[c] = a.measure ? static_cast<T>(-g[c] / p.n) : T(0);
  }
  if (!p.dx) return;
  tiles.each([&](int64_t, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
    for_columns<T>(c0, c1, [&](int64_t c, auto vectors, int64_t n) {
      constexpr int NV = decltype(vectors)::value;
      const auto load = [n](const T* at) { return NV == 1 ? V::load(at, n) : V::load(at); };
      V m[NV], s[NV], f[NV], o[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const int64_t at = c + v * W;
        m[v] = load(p.mean + at), s[v] = load(scale.get() + at), f[v] = load(by_x.get() + at);
        o[v] = load(shift.get() + at);
      }
      for (int64_t r = r0; r < r1; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const int64_t at = r * step + c + v * W;
          (s[v] * (fma(load(p.x + at) - m[v], f[v], o[v]) + load(p.dy + at))).store(p.dx + at, NV == 1 ? n : W);
        }
    });
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
