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

// Of one dim: the inputs that each result reads, and by which taps: [first[o], first[o + 1]).
struct TapLists {
  static constexpr int64_t kAlike = 4;
  const Axis axis;
  const Scratch<int64_t> first, input, tap;
  const Scratch<bool> alike;  // result o and the kAlike - 1 behind it are read by the same taps
  TapLists(const ConvGeometry& g, int d, bool forward)
      : axis(g, d, forward),
        first(axis.out + 1),
        input(axis.out * axis.kernel),
        tap(axis.out * axis.kernel),
        alike(axis.out) {
    int64_t n = 0;
    for (int64_t o = 0; o < axis.out; ++o) {
      first[o] = n;
      for (int64_t t = 0, phase = o % axis.out_step(); t < axis.kernel; ++t) {
        const int64_t i = o / axis.out_step() * axis.in_step() + axis.at(phase, t);
        if (axis.taken(phase, t) && i >= 0 && i < axis.in) input[n] = i, tap[n++] = t;
      }
    }
    first[axis.out] = n;
    for (int64_t o = 0; o < axis.out; ++o) {
      alike[o] = o + kAlike <= axis.out;
      for (int64_t i = 1; alike[o] && i < kAlike; ++i) alike[o] = same(o, o + i);
    }
  }
  int64_t count(int64_t o) const { return first[o + 1] - first[o]; }
  bool same(int64_t a, int64_t b) const {  // taps; those of a result are as far apart as those of any other
    return count(a) == count(b) && (count(a) == 0 || tap[first[a]] == tap[first[b]]);
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
  constexpr int64_t W = Vec<T>::kSize;
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
      int64_t n = 0;
      for (int64_t o = 0, step = 0; o < w.axis.out; o += step, y += step * channels) {
        const bool again = o && w.same(o - 1, o);
        step = w.alike[o] ? TapLists::kAlike : 1;
        const T* const at = x + (w.count(o) ? w.input[w.first[o]] : 0) * channels;
        if (!again) n = 0;
        for (int64_t i = d.first[od]; !again && i < d.first[od + 1]; ++i)
          for (int64_t j = h.first[oh]; j < h.first[oh + 1]; ++j)
            for (int64_t k = w.first[o]; k < w.first[o + 1]; ++k)
              reads[n++] = {
                  ((d.input[i] * h.axis.in + h.input[j]) * w.axis.in + w.input[k] - w.input[w.first[o]]) * channels,
                  ((d.tap[i] * h.axis.kernel + h.tap[j]) * w.axis.kernel + w.tap[k]) * channels};
        const int64_t x_step = w.axis.in_step() * channels;
        const auto run = [&](auto* tile, int64_t c, int64_t last) {
          tile(reads.get(), n, at + c, x_step, weights.get() + c, bias ? bias + c : nullptr, low, y + c, channels,
               last);
        };
        int64_t c = 0;
        for (; c + 2 * W <= channels; c += 2 * W)
          run(step == 1 ? depthwise_pixels<T, 1, 2> : depthwise_pixels<T, TapLists::kAlike, 2>, c, W);
        for (; c < channels; c += W)
          run(step == 1 ? depthwise_pixels<T, 1, 1> : depthwise_pixels<T, TapLists::kAlike, 1>, c,
              min_of(W, channels - c));
      }
    }
  });
}

// total[k * W + lane] += sum over a row of outputs of y * what tap k reads, for N taps, of n channels.
template <class T, int N>
void depthwise_sums(const T* plane, const int64_t* taps, int64_t step, const T* y, int64_t y_step, int64_t width,
                    int64_t n, double* total) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize, kAhead = 12;
  V acc[N];
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) acc[i] = V(T(0));
  for (int64_t o = 0; o < width; ++o, y += y_step, plane += step) {
    __builtin_prefetch(y + kAhead * y_step);
    const V f = V::load(y, n);
#pragma GCC unroll 9
    for (int i = 0; i < N; ++i) acc[i] = fma(f, V::load(plane + taps[i]), acc[i]);
  }
  T lanes[N * W];
#pragma GCC unroll 9
  for (int i = 0; i < N; ++i) acc[i].store(lanes + i * W);
  for (int64_t l = 0; l < N * W; ++l) total[l] += static_cast<double>(lanes[l]);
}

// Rows of outputs go in blocks, of which tasks own a share: what one reads is copied, with its padding, into a plane
// for each vector of channels. Rows are sums of T, which are added up in double.
template <class T>
void depthwise_rows_weight(const ConvArgs& a) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize, kShares = 8, kPixels = 512;
  const ConvGeometry& g = a.g;
  const int64_t channels = a.groups, taps = product3(g.kernel), in = product3(g.in);
  const int64_t vectors = ceil_div(channels, W), size = vectors * taps * W;
  const auto reach = [&](int d, int64_t n) { return (n - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1; };
  const int64_t block = clamp_of(kPixels / g.out[2], 1, g.out[1]), blocks = ceil_div(g.out[1], block);
  const int64_t high = reach(1, block), wide = reach(2, g.out[2]), row = wide * W, plane = g.kernel[0] * high * row;
  const int64_t left = min_of(g.pad[2], wide), inside = clamp_of(wide - left, 0, g.in[2]);
  const Scratch<int64_t> offset(taps);
  for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
    offset[tap] = (td * high + th * g.dilation[1]) * row + tw * g.dilation[2] * W;
  });
  // Rows [h0, h0 + block) of outputs, of one depth `od` of all images.
  const auto load = [&](int64_t od, int64_t h0, T* to) {
    const T* const x = static_cast<const T*>(a.x) + od / g.out[0] * in * channels;
    for (int64_t r = 0; r < g.kernel[0] * high; ++r) {
      const int64_t id = od % g.out[0] * g.stride[0] - g.pad[0] + r / high * g.dilation[0];
      const int64_t ih = h0 * g.stride[1] - g.pad[1] + r % high;
      const bool there = id >= 0 && id < g.in[0] && ih >= 0 && ih < g.in[1];
      for (int64_t i = 0; i < wide; ++i, to += W) {
        const bool zero = !there || i < left || i >= left + inside;
        const T* const from = zero ? nullptr : x + ((id * g.in[1] + ih) * g.in[2] + i - left) * channels;
        for (int64_t v = 0; v < vectors; ++v)
          (zero ? V(T(0)) : V::load(from + v * W, channels - v * W)).store(to + v * plane);
      }
    }
  };
  const auto add_row = [&](const T* from, const T* y, int64_t n, double* total) {
    const auto add = [&](auto* f, int64_t k) {
      f(from, offset.get() + k, g.stride[2] * W, y, channels, g.out[2], n, total + k * W);
    };
    int64_t k = 0;
    for (; k + 9 <= taps; k += 9) add(depthwise_sums<T, 9>, k);
    for (; k + 5 <= taps; k += 5) add(depthwise_sums<T, 5>, k);
    for (; k + 3 <= taps; k += 3) add(depthwise_sums<T, 3>, k);
    for (; k < taps; ++k) add(depthwise_sums<T, 1>, k);
  };
  const int64_t total = a.batch * g.out[0] * blocks, shares = min_of(total, kShares);
  const Scratch<double> sums(shares * size);
  parallel_for(0, shares, grain_for(2 * depthwise_ns<T>(a) / static_cast<double>(shares)), [&](int64_t s0, int64_t s1) {
    const Scratch<T> planes(vectors * plane);
    for (int64_t share = s0; share < s1; ++share) {
      double* const to = sums.get() + share * size;
      for (int64_t i = 0; i < size; ++i) to[i] = 0;
      for (int64_t i = total * share / shares; i < total * (share + 1) / shares; ++i) {
        const int64_t od = i / blocks, h0 = i % blocks * block;
        load(od, h0, planes.get());
        for (int64_t h = h0; h < min_of(g.out[1], h0 + block); ++h)
          for (int64_t v = 0; v < vectors; ++v)
            add_row(planes.get() + v * plane + (h - h0) * g.stride[1] * row,
                    static_cast<const T*>(a.y) + (od * g.out[1] + h) * g.out[2] * channels + v * W,
                    min_of(W, channels - v * W), to + v * taps * W);
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
