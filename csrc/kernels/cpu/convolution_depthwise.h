// convolution_depthwise.h -- one input channel per group: direct loops, vectors along the last dim.
//
//   y[m, o] = b[m] + sum_t plane[o * stride + t * dilation] w[m, t]      plane: one channel of x, padded on all sides
//
// Rows of the plane are split into phases (phases.h), so that a tap reads neighbours for neighbouring outputs; several
// rows of outputs are summed at once, which hides the latency of the sums.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/phases.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

PYNN_INLINE int64_t depthwise_grain(const ConvArgs& a) {
  return grain_for(static_cast<double>(product3(a.g.out) * (product3(a.g.kernel) + 2) * a.co) / 8);
}

struct PaddedPlane {
  const ConvGeometry& g;
  const Phases ph;
  int64_t high[2];        // rows that are read: of depth, of height
  int64_t step[2];        // between rows of outputs, in elements
  Scratch<int64_t> taps;  // where each reads for output 0
  const bool relu;

  PaddedPlane(const ConvGeometry& geometry, int64_t lanes, bool relu_ = false)
      : g(geometry), ph(geometry, lanes), taps(product3(geometry.kernel)), relu(relu_) {
    for (int d = 0; d < 2; ++d) high[d] = (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
    step[0] = g.stride[0] * high[1] * ph.row;
    step[1] = g.stride[1] * ph.row;
    for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
      const int64_t j = tw * g.dilation[2];
      taps[tap] = (td * g.dilation[0] * high[1] + th * g.dilation[1]) * ph.row + j % ph.step * ph.place + j / ph.step;
    });
  }
  int64_t size() const { return high[0] * high[1] * ph.row; }

  template <class T>
  void load(const T* x, T* to) const {
    for (int64_t d = 0; d < high[0]; ++d)
      for (int64_t h = 0; h < high[1]; ++h) {
        const int64_t id = d - g.pad[0], ih = h - g.pad[1];
        if (id >= 0 && id < g.in[0] && ih >= 0 && ih < g.in[1])
          ph.split_row(x + (id * g.in[1] + ih) * g.in[2], to + (d * high[1] + h) * ph.row);
      }
  }

  // R rows of NV vectors of outputs; the last vector holds `last` elements.
  template <class T, int R, int NV>
  PYNN_INLINE void rows(const T* x, const T* w, int64_t n, T bias, T* y, int64_t last) const {
    constexpr int W = Vec<T>::kSize;
    Vec<T> acc[R][NV];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = Vec<T>(bias);
    for (int64_t k = 0; k < n; ++k) {
      const Vec<T> f(w[k]);
      const T* at = x + taps[k];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[r][v] = fma(f, Vec<T>::load(at + r * step[1] + v * W), acc[r][v]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v)
        (relu ? max(Vec<T>(T(0)), acc[r][v]) : acc[r][v]).store(y + r * g.out[2] + v * W, v == NV - 1 ? last : W);
  }
  template <class T, int R>
  PYNN_INLINE void row_block(const T* x, const T* w, int64_t n, T bias, T* y) const {
    constexpr int64_t W = Vec<T>::kSize;
    int64_t o = 0;
    for (; o + W < g.out[2]; o += 2 * W) rows<T, R, 2>(x + o, w, n, bias, y + o, min_of(W, g.out[2] - o - W));
    if (o < g.out[2]) rows<T, R, 1>(x + o, w, n, bias, y + o, g.out[2] - o);
  }
  template <class T>
  void convolve(const T* plane, const T* w, T bias, T* y) const {
    const int64_t n = product3(g.kernel);
    for (int64_t d = 0; d < g.out[0]; ++d) {
      const T* x = plane + d * step[0];
      int64_t h = 0;
      for (; h + 4 <= g.out[1]; h += 4) row_block<T, 4>(x + h * step[1], w, n, bias, y + h * g.out[2]);
      for (; h < g.out[1]; ++h) row_block<T, 1>(x + h * step[1], w, n, bias, y + h * g.out[2]);
      y += g.out[1] * g.out[2];
    }
  }

  // total[k] += sum of y * what tap k reads, for N taps. Elements past a row's end are not multiplied.
  template <class T, int N>
  void sum_taps(const T* plane, const T* y, int64_t k, double* total) const {
    constexpr int64_t W = Vec<T>::kSize;
    Vec<T> acc[N];
#pragma GCC unroll 9
    for (int i = 0; i < N; ++i) acc[i] = Vec<T>(T(0));
    for (int64_t d = 0; d < g.out[0]; ++d)
      for (int64_t h = 0; h < g.out[1]; ++h) {
        const T* x = plane + d * step[0] + h * step[1];
        int64_t o = 0;
        for (; o + W <= g.out[2]; o += W) {
          const Vec<T> f = Vec<T>::load(y + o);
#pragma GCC unroll 9
          for (int i = 0; i < N; ++i) acc[i] = fma(f, Vec<T>::load(x + taps[k + i] + o), acc[i]);
        }
        if (const int64_t rest = g.out[2] - o; rest > 0) {
          const Vec<T> f = Vec<T>::load(y + o, rest);
#pragma GCC unroll 9
          for (int i = 0; i < N; ++i) acc[i] = fma(f, Vec<T>::load(x + taps[k + i] + o, rest), acc[i]);
        }
        y += g.out[2];
      }
    for (int i = 0; i < N; ++i) total[k + i] += static_cast<double>(reduce_add(acc[i]));
  }
};

template <class T>
void depthwise_forward(const ConvArgs& a) {
  const PaddedPlane p(a.g, Vec<T>::kSize, a.relu);
  const int64_t taps = product3(a.g.kernel), in = product3(a.g.in), out = product3(a.g.out);
  parallel_for(0, a.batch * a.groups, depthwise_grain(a), [&](int64_t begin, int64_t end) {
    const Scratch<T> plane(p.size());
    p.ph.clear(plane.get(), p.size(), T(0));
    for (int64_t t = begin; t < end; ++t) {
      p.load(static_cast<const T*>(a.x) + t * in, plane.get());
      for (int64_t m = 0; m < a.co; ++m) {
        const int64_t c = t % a.groups * a.co + m;
        p.convolve(plane.get(), static_cast<const T*>(a.w) + c * taps, a.bias ? static_cast<const T*>(a.bias)[c] : T(0),
                   static_cast<T*>(a.y) + (t * a.co + m) * out);
      }
    }
  });
}

// Of stride 1 it is the forward one, of y, the flipped weight and the rest of the padding.
template <class T>
bool depthwise_flipped(const ConvArgs& a) {
  const int64_t taps = product3(a.g.kernel);
  ConvArgs f = a;
  bool fits = a.co == 1;
  for (int d = 0; d < 3; ++d) {
    f.g.in[d] = a.g.out[d];
    f.g.out[d] = a.g.in[d];
    f.g.pad[d] = (a.g.kernel[d] - 1) * a.g.dilation[d] - a.g.pad[d];
    fits &= a.g.stride[d] == 1 && f.g.pad[d] >= 0;
  }
  if (!fits) return false;
  const Scratch<T> w(a.groups * taps);
  for (int64_t i = 0; i < a.groups * taps; ++i)
    w[i] = static_cast<const T*>(a.w)[i / taps * taps + taps - 1 - i % taps];
  f.x = a.y;
  f.y = a.x;
  f.w = w.get();
  depthwise_forward<T>(f);
  return true;
}

template <class T>
void depthwise_backward_input(const ConvArgs& a) {
  using V = Vec<T>;
  if (depthwise_flipped<T>(a)) return;
  const Phases ph(a.g, V::kSize);
  const int64_t taps = product3(a.g.kernel), in = product3(a.g.in), out = product3(a.g.out), ow = a.g.out[2];
  parallel_for(0, a.batch * a.groups, depthwise_grain(a), [&](int64_t begin, int64_t end) {
    const Scratch<T> plane(ph.size());
    for (int64_t t = begin; t < end; ++t) {
      const int64_t g = t % a.groups;
      ph.clear(plane.get(), ph.size(), T(0));
      for (int64_t m = 0; m < a.co; ++m) {
        const T* w = static_cast<const T*>(a.w) + (g * a.co + m) * taps;
        for (int64_t r = 0; r < a.g.out[0] * a.g.out[1]; ++r) {
          const T* y = static_cast<const T*>(a.y) + (t * a.co + m) * out + r * ow;
          ph.for_taps_of_row(r / a.g.out[1], r % a.g.out[1], [&](int64_t k, int64_t at, int64_t) {
            T* to = plane.get() + at;
            for (int64_t o = 0; o < ow; o += V::kSize)
              fma(V(w[k]), V::load(y + o, ow - o), V::load(to + o, ow - o)).store(to + o, ow - o);
          });
        }
      }
      ph.join(plane.get(), static_cast<T*>(a.x) + t * in, a.bias ? static_cast<const T*>(a.bias)[g] : T(0));
    }
  });
}

template <class T>
void depthwise_backward_weight(const ConvArgs& a) {
  const PaddedPlane p(a.g, Vec<T>::kSize);
  const int64_t taps = product3(a.g.kernel), in = product3(a.g.in), out = product3(a.g.out);
  parallel_for(0, a.groups, max_of<int64_t>(1, depthwise_grain(a) / max_of<int64_t>(a.batch, 1)),
               [&](int64_t begin, int64_t end) {
                 const Scratch<T> plane(p.size());
                 const Scratch<double> total(a.co * taps);
                 p.ph.clear(plane.get(), p.size(), T(0));
                 for (int64_t g = begin; g < end; ++g) {
                   for (int64_t i = 0; i < a.co * taps; ++i) total[i] = 0;
                   for (int64_t n = 0; n < a.batch; ++n) {
                     const int64_t t = n * a.groups + g;
                     p.load(static_cast<const T*>(a.x) + t * in, plane.get());
                     for (int64_t m = 0; m < a.co; ++m) {
                       const T* y = static_cast<const T*>(a.y) + (t * a.co + m) * out;
                       double* sums = total.get() + m * taps;
                       int64_t k = 0;
                       for (; k + 9 <= taps; k += 9) p.template sum_taps<T, 9>(plane.get(), y, k, sums);
                       for (; k + 3 <= taps; k += 3) p.template sum_taps<T, 3>(plane.get(), y, k, sums);
                       for (; k < taps; ++k) p.template sum_taps<T, 1>(plane.get(), y, k, sums);
                     }
                   }
                   T* w = static_cast<T*>(a.w) + g * a.co * taps;
                   for (int64_t i = 0; i < a.co * taps; ++i) w[i] = static_cast<T>(total[i]);
                 }
               });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
