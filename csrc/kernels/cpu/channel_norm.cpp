// channel_norm.cpp -- batch, instance and group normalisation, forward and backward.
//
//   h = (x - mean) rstd,  y = h w + b (or at least 0: relu)
//   dx = rstd (dy w - mean(dy w) - h mean(dy w h)),  dweight = sum dy h,  dbias = sum dy
//
// The variance is taken around the mean in a second pass. Parallel over statistics, each of which is one sum in order:
// lanes of T over blocks, double beyond. Runs of one element are columns (batch: x [N, C], or channels last:
// channel_norm_columns.h), or rows of weights of their own (group: norm_rows.h).
#include "kernels/channel_norm.h"

#include "kernels/cpu/channel_norm_groups.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

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
  if (p.columns()) return apply_columns(p, static_cast<const S*>(a.x), static_cast<S*>(a.y));
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
  if (a.channels_last) return forward_groups(p);
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
  if (a.channels_last) return backward_groups(p);
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
    const double r = static_cast<double>(p.rstd[s]);
    scales[2 * s] = a.measure ? static_cast<T>(-r * r * r * total_x / p.n) : T(0);
    scales[2 * s + 1] = a.measure ? static_cast<T>(-r * total / p.n) : T(0);
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
