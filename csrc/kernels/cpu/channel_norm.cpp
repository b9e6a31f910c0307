// channel_norm.cpp -- batch, instance and group normalisation, forward and backward.
//
//   h = (x - mean) rstd,  y = h w + b (or at least 0: relu)
//   dx = rstd (dy w - mean(dy w) - h mean(dy w h)),  dweight = sum dy h,  dbias = sum dy
//
// The variance is taken around the mean in a second pass. Parallel over statistics, each of which is one sum in order:
// lanes of T over blocks, double beyond. Runs of one element (x [N, C]) go by vectors of statistics (batch), or are
// rows of weights of their own (group: norm_rows.h).
#include "kernels/channel_norm.h"

#include "kernels/cpu/norm_rows.h"

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

// sum dy and sum dy (x - mean)
template <class T>
PYNN_INLINE void dot_sums(const T* dy, const T* x, int64_t n, T mean, double& g, double& gx) {
  using V = Vec<T>;
  const V m(mean);
  for (int64_t i0 = 0; i0 < n; i0 += kRowBlock) {
    V acc(T(0)), acc_x(T(0));
    along<T>(min_of(kRowBlock, n - i0), [&](auto at) {
      at.i += i0;
      const V d = at.load(dy);  // lanes beyond the run are 0
      acc += d;
      acc_x = fma(d, at.load(x) - m, acc_x);
    });
    g += static_cast<double>(reduce_add(acc));
    gx += static_cast<double>(reduce_add(acc_x));
  }
}

// ---- columns: x [rows, stats] -------------------------------------------------------------------------------------

// f(row) -> two vectors, summed over rows into double lanes.
template <class T, class F>
PYNN_INLINE void sum_rows(int64_t rows, double* first, double* second, F f) {
  using V = Vec<T>;
  constexpr int64_t block = 32;
  for (int l = 0; l < V::kSize; ++l) first[l] = second[l] = 0;
  for (int64_t r0 = 0; r0 < rows; r0 += block) {
    V p(T(0)), q(T(0));
    for (int64_t r = r0; r < min_of(rows, r0 + block); ++r) f(r, p, q);
    for (int l = 0; l < V::kSize; ++l) {
      first[l] += static_cast<double>(p[l]);
      second[l] += static_cast<double>(q[l]);
    }
  }
}

template <class T>
void forward_columns(const Norm<T>& p) {
  using V = Vec<T>;
  const ChannelNormArgs& a = p.a;
  const int64_t rows = a.chunks, step = a.chunk_step;
  parallel_for(0, ceil_div(a.stats, V::kSize), grain_for(static_cast<double>(rows) * 3), [&](int64_t b, int64_t e) {
    double sum[V::kSize], unused[V::kSize];
    for (int64_t s = b * V::kSize; s < min_of(a.stats, e * V::kSize); s += V::kSize) {
      const int64_t n = min_of<int64_t>(a.stats - s, V::kSize);
      if (a.measure) {
        sum_rows<T>(rows, sum, unused, [&](int64_t r, V& v, V&) { v += V::load(p.x + r * step + s, n); });
        V m(T(0));
        for (int l = 0; l < V::kSize; ++l) m.v[l] = static_cast<T>(sum[l] / p.n);
        double squares[V::kSize];
        sum_rows<T>(rows, squares, unused, [&](int64_t r, V& v, V&) {
          const V d = V::load(p.x + r * step + s, n) - m;
          v = fma(d, d, v);
        });
        for (int64_t l = 0; l < n; ++l) p.measured(s + l, sum[l] / p.n, squares[l] / p.n);
      }
      V scale = V::load(p.rstd + s, n), shift(T(0));
      const V m = V::load(p.mean + s, n);
      if (p.weight) scale *= V::load(p.weight + s, n);
      if (p.bias) shift = V::load(p.bias + s, n);
      for (int64_t r = 0; r < rows; ++r)
        max(p.low(), fma(V::load(p.x + r * step + s, n) - m, scale, shift)).store(p.y + r * step + s, n);
    }
  });
}

template <class T>
void backward_columns(const Norm<T>& p) {
  using V = Vec<T>;
  const ChannelNormArgs& a = p.a;
  const int64_t rows = a.chunks, step = a.chunk_step;
  parallel_for(0, ceil_div(a.stats, V::kSize), grain_for(static_cast<double>(rows) * 4), [&](int64_t b, int64_t e) {
    double g[V::kSize], gx[V::kSize];
    for (int64_t s = b * V::kSize; s < min_of(a.stats, e * V::kSize); s += V::kSize) {
      const int64_t n = min_of<int64_t>(a.stats - s, V::kSize);
      const V m = V::load(p.mean + s, n), r = V::load(p.rstd + s, n);
      sum_rows<T>(rows, g, gx, [&](int64_t i, V& v, V& w) {
        const V d = V::load(p.dy + i * step + s, n);
        v += d;
        w = fma(d, V::load(p.x + i * step + s, n) - m, w);
      });
      for (int64_t l = 0; l < n; ++l) {
        if (a.dweight)
          static_cast<T*>(a.dweight)[s + l] = static_cast<T>(gx[l] * static_cast<double>(r[static_cast<int>(l)]));
        if (a.dbias) static_cast<T*>(a.dbias)[s + l] = static_cast<T>(g[l]);
      }
      if (!p.dx) continue;
      V scale = r, by_x(T(0)), shift(T(0));
      if (p.weight) scale *= V::load(p.weight + s, n);
      if (a.measure) {
        for (int l = 0; l < V::kSize; ++l) {
          by_x.v[l] = static_cast<T>(-gx[l] / p.n);
          shift.v[l] = static_cast<T>(-g[l] / p.n);
        }
        by_x *= r * r;
      }
      for (int64_t i = 0; i < rows; ++i)
        (scale * (fma(V::load(p.x + i * step + s, n) - m, by_x, shift) + V::load(p.dy + i * step + s, n)))
            .store(p.dx + i * step + s, n);
    }
  });
}

// ---- runs ---------------------------------------------------------------------------------------------------------

template <class T>
PYNN_INLINE void apply(const Norm<T>& p, int64_t s, int64_t m) {
  using V = Vec<T>;
  const T* x = p.x + p.at(s, m);
  T* y = p.y + p.at(s, m);
  const int64_t c = p.channel(s, m);
  const V mean(p.mean[s]), scale(p.weight ? p.rstd[s] * p.weight[c] : p.rstd[s]), shift(p.bias ? p.bias[c] : T(0));
  const V low = p.low();
  along<T>(p.steps(m), [=](auto at) { at.store(y, max(low, fma(at.load(x) - mean, scale, shift))); });
}

// Batch norm of a half type by given statistics, in the order of memory.
template <class S>
void forward_half(const ChannelNormArgs& a) {
  const Norm<float> p(a);
  parallel_for(0, a.stats * a.chunks, grain_for(0.3 * static_cast<double>(a.length) + 5),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t c = i % a.stats, at = p.at(c, i / a.stats);
                   const VecF mean(p.mean[c]), scale(p.weight ? p.rstd[c] * p.weight[c] : p.rstd[c]);
                   const VecF shift(p.bias ? p.bias[c] : 0.0f), low = p.low();
                   const S* const x = static_cast<const S*>(a.x) + at;
                   S* const y = static_cast<S*>(a.y) + at;
                   constexpr int64_t W = VecF::kSize;
                   const auto step = [&](int64_t j, int64_t n) __attribute__((always_inline)) {
                     store_wide(y + j, max(low, fma(load_wide(x + j, n) - mean, scale, shift)), n);
                   };
                   for (int64_t j = 0; j + W <= a.length; j += W) step(j, W);
                   if (a.length < W)
                     step(0, a.length);
                   else if (a.length % W)
                     step(a.length - W, W);  // some once more: parts of vectors are slow
                 }
               });
}

template <class T>
void forward(const ChannelNormArgs& a) {
  const Norm<T> p(a);
  if (p.columns()) return forward_columns(p);
  if (p.rows()) return norm_rows_forward<T>(p.row_args(), a.groups);
  if (!a.measure && !a.groups) {  // runs in the order of memory
    parallel_for(0, a.stats * a.chunks, grain_for(0.3 * static_cast<double>(a.length) + 5),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) apply(p, i % a.stats, i / a.stats);
                 });
    return;
  }
  const int64_t chunks = p.joined() ? 1 : a.chunks, length = p.joined() ? a.chunks * a.length : a.length;
  parallel_for(0, a.stats, grain_for(0.5 * p.n + 10 * static_cast<double>(a.chunks)), [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      if (a.measure) {
        double sum = 0, squares = 0;
        for (int64_t m = 0; m < chunks; ++m) sum += row_sum(p.x + p.at(s, m), length);
        const T mean = static_cast<T>(sum / p.n);
        for (int64_t m = 0; m < chunks; ++m) squares += row_squares(p.x + p.at(s, m), length, mean);
        p.measured(s, sum / p.n, squares / p.n);
      }
      for (int64_t m = 0; m < a.chunks; ++m) apply(p, s, m);
    }
  });
}

template <class T>
void backward(const ChannelNormArgs& a) {
  using V = Vec<T>;
  const Norm<T> p(a);
  if (p.columns()) return backward_columns(p);
  if (p.rows()) return norm_rows_backward<T>(p.row_args(), a.groups);
  const Scratch<double> sums(2 * a.stats * a.chunks);  // of each run: sum dy, sum dy (x - mean)
  const Scratch<T> scales(2 * a.stats);                // of each statistic: by_x, shift
  const auto weight_of = [&](int64_t s, int64_t m) { return p.weight ? p.weight[p.channel(s, m)] : T(1); };
  const auto measure = [&](int64_t s, int64_t m) {
    double g = 0, gx = 0;
    dot_sums(p.dy + p.at(s, m), p.x + p.at(s, m), a.length, p.mean[s], g, gx);
    sums[2 * (s * a.chunks + m)] = g;
    sums[2 * (s * a.chunks + m) + 1] = gx;
  };
  const auto combine = [&](int64_t s) {
    double total = 0, total_x = 0;  // with weights
    for (int64_t m = 0; m < a.chunks; ++m) {
      const double w = static_cast<double>(weight_of(s, m));
      total += w * sums[2 * (s * a.chunks + m)];
      total_x += w * sums[2 * (s * a.chunks + m) + 1];
    }
    const double r = static_cast<double>(p.rstd[s]), on = a.measure ? 1 : 0;
    scales[2 * s] = static_cast<T>(-on * r * r * r * total_x / p.n);
    scales[2 * s + 1] = static_cast<T>(-on * r * total / p.n);
  };
  const auto apply = [&](int64_t s, int64_t m) {
    const T *x = p.x + p.at(s, m), *dy = p.dy + p.at(s, m);
    T* dx = p.dx + p.at(s, m);
    const V mean(p.mean[s]), by_x(scales[2 * s]), shift(scales[2 * s + 1]), scale(p.rstd[s] * weight_of(s, m));
    along<T>(a.length, [=](auto at) { at.store(dx, fma(at.load(dy), scale, fma(at.load(x) - mean, by_x, shift))); });
  };
  if (p.by_runs()) {
    p.for_runs(0.5, measure);
    parallel_for(0, a.stats, grain_for(3 * static_cast<double>(a.chunks)), [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) combine(s);
    });
    if (p.dx) p.for_runs(0.5, apply);
  } else {
    parallel_for(0, a.stats, grain_for(p.n + 10 * static_cast<double>(a.chunks)), [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        for (int64_t m = 0; m < a.chunks; ++m) measure(s, m);
        combine(s);
        for (int64_t m = 0; p.dx && m < a.chunks; ++m) apply(s, m);
      }
    });
  }
  if (!a.dweight && !a.dbias) return;
  const Scratch<double> dw(a.channels), db(a.channels);
  for (int64_t c = 0; c < a.channels; ++c) dw[c] = db[c] = 0;
  for (int64_t s = 0; s < a.stats; ++s)
    for (int64_t m = 0, first = p.channel(s, 0); m < a.chunks; ++m) {
      const int64_t c = a.groups ? first + m : first;
      db[c] += sums[2 * (s * a.chunks + m)];
      dw[c] += sums[2 * (s * a.chunks + m) + 1] * static_cast<double>(p.rstd[s]);
    }
  for (int64_t c = 0; c < a.channels; ++c) {
    if (a.dweight) static_cast<T*>(a.dweight)[c] = static_cast<T>(dw[c]);
    if (a.dbias) static_cast<T*>(a.dbias)[c] = static_cast<T>(db[c]);
  }
}

}  // namespace

void channel_norm_forward(const ChannelNormArgs& a) {
  if (a.x_dtype == DType::BFloat16) return forward_half<BFloat16>(a);
  if (a.x_dtype == DType::Float16) return forward_half<Half>(a);
  a.dtype == DType::Float64 ? forward<double>(a) : forward<float>(a);
}

void channel_norm_backward(const ChannelNormArgs& a) {
  a.dtype == DType::Float64 ? backward<double>(a) : backward<float>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
