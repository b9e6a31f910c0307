// convolution_depthwise_rows.h -- one channel per group, channels last: vectors of channels.
//
//   y[o, c] = b[c] + sum over the taps t that lie inside of  x[in(o, t), c] w[t, c]
//
// Its adjoint has the same form (Axis): each result reads a list of pixels, neighbours the same taps of neighbours.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/convolution_strip.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Of one dim: the inputs that each result reads, and by which taps.
struct TapLists {
  const Axis axis;
  const Scratch<int64_t> first, input, tap;  // of result o: [first[o], first[o + 1])
  TapLists(const ConvGeometry& g, int d, bool forward)
      : axis(g, d, forward), first(axis.out + 1), input(axis.out * axis.kernel), tap(axis.out * axis.kernel) {
    int64_t n = 0;
    for (int64_t o = 0; o < axis.out; ++o) {
      first[o] = n;
      for (int64_t t = 0, phase = o % axis.out_step(); t < axis.kernel; ++t) {
        const int64_t i = o / axis.out_step() * axis.in_step() + axis.at(phase, t);
        if (axis.taken(phase, t) && i >= 0 && i < axis.in) input[n] = i, tap[n++] = t;
      }
    }
    first[axis.out] = n;
  }
  // How many results from o on, up to `most`, read by the same taps.
  int64_t alike(int64_t o, int64_t most) const {
    const int64_t count = first[o + 1] - first[o];
    for (int64_t n = 1; n < most; ++n) {
      if (o + n >= axis.out || first[o + n + 1] - first[o + n] != count) return n;
      for (int64_t k = 0; k < count; ++k)
        if (tap[first[o + n] + k] != tap[first[o] + k]) return n;
    }
    return most;
  }
};

struct Read {
  int64_t x, w;
};

// R results, whose inputs are x_step apart, of NV vectors of channels, `n` of them in the last.
template <class T, int R, int NV>
void depthwise_pixels(const Read* reads, int64_t count, const T* x, int64_t x_step, const T* w, const T* bias, T low,
                      T* y, int64_t y_step, int64_t n) {
  using V = Vec<T>;
  constexpr int W = V::kSize;
  const auto load = [n](const T* at) { return NV == 1 ? V::load(at, n) : V::load(at); };
  V acc[R][NV];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[r][v] = bias ? load(bias + v * W) : V(T(0));
  for (int64_t k = 0; k < count; ++k) {
    const T* const from = x + reads[k].x;
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) {
      const V f = load(w + reads[k].w + v * W);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) acc[r][v] = fma(f, load(from + r * x_step + v * W), acc[r][v]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) max(V(low), acc[r][v]).store(y + r * y_step + v * W, NV == 1 ? n : W);
}

template <class T>
PYNN_INLINE double depthwise_ns(const ConvArgs& a) {  // of all
  return static_cast<double>(a.batch * product3(a.g.out) * a.groups * (product3(a.g.kernel) + 2)) / Vec<T>::kSize / 4;
}

// forward, or backward_input: of one output channel per group.
template <class T>
void depthwise_rows(const ConvArgs& a, bool forward) {
  constexpr int64_t W = Vec<T>::kSize, kPixels = 4;
  const TapLists d(a.g, 0, forward), h(a.g, 1, forward), w(a.g, 2, forward);
  const int64_t channels = a.groups, taps = product3(a.g.kernel), rows = a.batch * d.axis.out * h.axis.out;
  const int64_t in = d.axis.in * h.axis.in * w.axis.in;
  const T low = a.relu ? T(0) : -T(__builtin_huge_val());
  const T* const bias = static_cast<const T*>(a.bias);
  const Scratch<T> weights(taps * channels);
  for (int64_t t = 0; t < taps; ++t)
    for (int64_t c = 0; c < channels; ++c) weights[t * channels + c] = static_cast<const T*>(a.w)[c * taps + t];
  const double ns = depthwise_ns<T>(a) / static_cast<double>(max_of<int64_t>(rows, 1));
  parallel_for(0, rows, grain_for(ns), [&](int64_t begin, int64_t end) {
    const Scratch<Read> reads(taps);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t oh = row % h.axis.out, od = row / h.axis.out % d.axis.out;
      const T* const x = static_cast<const T*>(forward ? a.x : a.y) + row / h.axis.out / d.axis.out * in * channels;
      T* y = static_cast<T*>(forward ? a.y : a.x) + row * w.axis.out * channels;
      for (int64_t o = 0, step = 0; o < w.axis.out; o += step, y += step * channels) {
        step = w.alike(o, kPixels) == kPixels ? kPixels : 1;
        int64_t n = 0;
        for (int64_t i = d.first[od]; i < d.first[od + 1]; ++i)
          for (int64_t j = h.first[oh]; j < h.first[oh + 1]; ++j)
            for (int64_t k = w.first[o]; k < w.first[o + 1]; ++k)
              reads[n++] = {((d.input[i] * h.axis.in + h.input[j]) * w.axis.in + w.input[k]) * channels,
                            ((d.tap[i] * h.axis.kernel + h.tap[j]) * w.axis.kernel + w.tap[k]) * channels};
        const int64_t x_step = w.axis.in_step() * channels;
        const auto run = [&](auto* tile, int64_t c, int64_t last) {
          tile(reads.get(), n, x + c, x_step, weights.get() + c, bias ? bias + c : nullptr, low, y + c, channels, last);
        };
        int64_t c = 0;
        for (; c + 2 * W <= channels; c += 2 * W)
          run(step == 1 ? depthwise_pixels<T, 1, 2> : depthwise_pixels<T, kPixels, 2>, c, W);
        for (; c < channels; c += W)
          run(step == 1 ? depthwise_pixels<T, 1, 1> : depthwise_pixels<T, kPixels, 1>, c, min_of(W, channels - c));
      }
    }
  });
}

// total[k * W + lane] += sum over rows of outputs of y * what tap k reads, for N taps; the last vector holds n
// channels.
template <class T, int N>
void depthwise_sums(const T* plane, const int64_t* taps, int64_t row, int64_t step, const T* y, int64_t y_step,
                    int64_t rows, int64_t width, int64_t n, double* total) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  V acc[N];
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) acc[i] = V(T(0));
  for (int64_t h = 0; h < rows; ++h, plane += row)
    for (int64_t o = 0; o < width; ++o, y += y_step) {
      const V f = V::load(y, n);
#pragma GCC unroll 9
      for (int i = 0; i < N; ++i) acc[i] = fma(f, V::load(plane + taps[i] + o * step), acc[i]);
    }
  T lanes[W];
  for (int i = 0; i < N; ++i) {
    acc[i].store(lanes);
    for (int64_t l = 0; l < W; ++l) total[i * W + l] += static_cast<double>(lanes[l]);
  }
}

// Tasks own a share of the images and some vectors of channels: of each image a plane of these is padded on all sides.
template <class T>
void depthwise_rows_weight(const ConvArgs& a) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize, kShares = 8, kTasks = 16, kTerms = 256;  // terms that are summed in lanes of T
  const ConvGeometry& g = a.g;
  const int64_t channels = a.groups, taps = product3(g.kernel), in = product3(g.in), out = product3(g.out);
  int64_t high[3];  // of a plane
  for (int d = 0; d < 3; ++d) high[d] = (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
  const int64_t row = high[2] * W, plane_size = high[0] * high[1] * row;
  const int64_t vectors = ceil_div(channels, W), shares = min_of(a.batch, kShares);
  const int64_t runs = clamp_of(ceil_div(kTasks, shares), 1, vectors), size = vectors * taps * W;
  const int64_t block = clamp_of(kTerms / g.out[2], 1, g.out[1]);  // rows
  const Scratch<int64_t> offset(taps);
  for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
    offset[tap] = (td * g.dilation[0] * high[1] + th * g.dilation[1]) * row + tw * g.dilation[2] * W;
  });
  const Scratch<double> sums(shares * size);
  const double ns = 2 * depthwise_ns<T>(a) / static_cast<double>(shares * runs);
  parallel_for(0, shares * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    const Scratch<T> plane(plane_size);
    for (int64_t i = 0; i < plane_size; ++i) plane[i] = T(0);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t share = task / runs, run = task % runs;
      const int64_t v0 = vectors * run / runs, v1 = vectors * (run + 1) / runs;
      double* const total = sums.get() + share * size;
      for (int64_t i = v0 * taps * W; i < v1 * taps * W; ++i) total[i] = 0;
      for (int64_t image = a.batch * share / shares; image < a.batch * (share + 1) / shares; ++image)
        for (int64_t v = v0; v < v1; ++v) {
          const int64_t n = min_of(W, channels - v * W);
          const T* const x = static_cast<const T*>(a.x) + image * in * channels + v * W;
          for (int64_t id = 0; id < g.in[0]; ++id)
            for (int64_t ih = 0; ih < g.in[1]; ++ih) {
              const int64_t d = id + g.pad[0], h = ih + g.pad[1];
              if (d >= high[0] || h >= high[1]) continue;
              T* const to = plane.get() + (d * high[1] + h) * row + g.pad[2] * W;
              const T* const from = x + (id * g.in[1] + ih) * g.in[2] * channels;
              for (int64_t i = 0; i < min_of(g.in[2], high[2] - g.pad[2]); ++i)
                V::load(from + i * channels, n).store(to + i * W);
            }
          for (int64_t d = 0; d < g.out[0]; ++d)
            for (int64_t h = 0; h < g.out[1]; h += block) {
              const T* const at = plane.get() + (d * g.stride[0] * high[1] + h * g.stride[1]) * row;
              const T* const y =
                  static_cast<const T*>(a.y) + (image * out + (d * g.out[1] + h) * g.out[2]) * channels + v * W;
              const auto add = [&](auto* f, int64_t k) {
                f(at, offset.get() + k, g.stride[1] * row, g.stride[2] * W, y, channels, min_of(block, g.out[1] - h),
                  g.out[2], n, total + (v * taps + k) * W);
              };
              int64_t k = 0;
              for (; k + 9 <= taps; k += 9) add(depthwise_sums<T, 9>, k);
              for (; k + 3 <= taps; k += 3) add(depthwise_sums<T, 3>, k);
              for (; k < taps; ++k) add(depthwise_sums<T, 1>, k);
            }
        }
    }
  });
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t k = 0; k < taps; ++k) {
      const double* const at = sums.get() + (c / W * taps + k) * W + c % W;
      double sum = at[0];
      for (int64_t s = 1; s < shares; ++s) sum += at[s * size];
      static_cast<T*>(a.w)[c * taps + k] = static_cast<T>(sum);
    }
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
