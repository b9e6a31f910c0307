// pooling.cpp -- the largest element of each window: NaN wins, of equal values the first.
//
// Sliding windows go by vectors of neighbouring outputs, over planes; others one by one, over planes' rows. Channels
// last go by vectors of channels.
#include "kernels/pooling.h"

#include "core/parallel.h"
#include "kernels/cpu/phases.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T, bool kIndex>
void max_pool_as(const MaxPoolArgs& a) {
  const int64_t in = a.in[0] * a.in[1] * a.in[2], rows = a.out[0] * a.out[1];
  const double window = static_cast<double>(a.end[0][0] - a.start[0][0]) / static_cast<double>(a.step[0]) *
                        static_cast<double>(a.end[1][0] - a.start[1][0]) / static_cast<double>(a.step[1]) *
                        static_cast<double>(a.end[2][0] - a.start[2][0]) / static_cast<double>(a.step[2]);
  parallel_for(0, a.planes * rows, grain_for((window + 2) * static_cast<double>(a.out[2])),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   const int64_t od = r % rows / a.out[1], oh = r % a.out[1];
                   const T* plane = static_cast<const T*>(a.x) + r / rows * in;
                   T* y = static_cast<T*>(a.y) + r * a.out[2];
                   for (int64_t ow = 0; ow < a.out[2]; ++ow) {
                     int64_t best = (a.start[0][od] * a.in[1] + a.start[1][oh]) * a.in[2] + a.start[2][ow];
                     T value = plane[best];
                     for (int64_t d = a.start[0][od]; d < a.end[0][od]; d += a.step[0])
                       for (int64_t h = a.start[1][oh]; h < a.end[1][oh]; h += a.step[1]) {
                         const int64_t row = (d * a.in[1] + h) * a.in[2];
                         for (int64_t w = a.start[2][ow]; w < a.end[2][ow]; w += a.step[2]) {
                           const T v = plane[row + w];
                           const bool better = (v > value) | (v != v);
                           value = better ? v : value;
                           if (kIndex) best = better ? row + w : best;
                         }
                       }
                     y[ow] = value;
                     if (kIndex) a.index[r * a.out[2] + ow] = best;
                   }
                 }
               });
}

template <class T, bool kIndex>
void max_pool_sliding(const MaxPoolArgs& a) {
  using V = Vec<T>;
  using I = typename V::Int;
  const ConvGeometry& g = *a.sliding;
  const Phases ph(g, V::kSize);
  const int64_t in = product3(a.in), out = product3(a.out), width = a.out[2], taps = product3(g.kernel);
  const T lowest = -T(__builtin_huge_val());
  parallel_for(0, a.planes, grain_for(static_cast<double>(out * taps) / 3 + static_cast<double>(in)),
               [&](int64_t begin, int64_t end) {
                 const Scratch<T> plane(ph.size());
                 const Scratch<int64_t> offset(taps), source(taps);
                 const Vec<I> lanes = Vec<I>::iota(0);
                 ph.clear(plane.get(), ph.size(), lowest);
                 for (int64_t p = begin; p < end; ++p) {
                   ph.split(static_cast<const T*>(a.x) + p * in, plane.get());
                   for (int64_t r = 0; r < a.out[0] * a.out[1]; ++r) {
                     const int64_t od = r / a.out[1], oh = r % a.out[1];
                     int64_t n = 0;
                     ph.for_taps_of_row(od, oh, [&](int64_t, int64_t at, int64_t from) {
                       offset[n] = at;
                       source[n++] = from;
                     });
                     const int64_t row = p * out + r * width;
                     const int64_t first = (a.start[0][od] * a.in[1] + a.start[1][oh]) * a.in[2];
                     for (int64_t o = 0; o < width; o += V::kSize) {
                       V best(lowest);
                       Vec<I> at(I(-1));
                       const Vec<I> step = (lanes + Vec<I>(static_cast<I>(o))) * Vec<I>(static_cast<I>(g.stride[2]));
                       for (int64_t k = 0; k < n; ++k) {
                         const V v = V::load(plane.get() + offset[k] + o);
                         const Mask<T> better = (v > best) | (v != v);
                         best = select(better, v, best);
                         if (kIndex) at = select(Mask<I>{better.v}, step + Vec<I>(static_cast<I>(source[k])), at);
                       }
                       best.store(static_cast<T*>(a.y) + row + o, width - o);
                       // Where nothing is above -inf, the first element of the window.
                       if (kIndex && width - o >= V::kSize && !any(at < Vec<I>(0))) {
                         I found[V::kSize];
                         at.store(found);
                         for (int64_t l = 0; l < V::kSize; ++l) a.index[row + o + l] = found[l];
                       } else if (kIndex) {
                         for (int64_t l = 0; l < min_of<int64_t>(V::kSize, width - o); ++l) {
                           const int64_t found = static_cast<int64_t>(at[static_cast<int>(l)]);
                           a.index[row + o + l] = found >= 0 ? found : first + a.start[2][o + l];
                         }
                       }
                     }
                   }
                 }
               });
}

// NV vectors of channels of one output, `n` of them in the last.
template <class T, bool kIndex, int NV>
PYNN_INLINE void max_of_channels(const MaxPoolArgs& a, const T* x, const int64_t (&o)[3], int64_t n, T* y,
                                 int64_t* index) {
  using V = Vec<T>;
  using I = typename V::Int;
  constexpr int W = V::kSize;
  const auto load = [n](const T* at) { return NV == 1 ? V::load(at, n) : V::load(at); };
  const int64_t first = (a.start[0][o[0]] * a.in[1] + a.start[1][o[1]]) * a.in[2] + a.start[2][o[2]];
  V best[NV];
  Vec<I> found[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) best[v] = load(x + first * a.channels + v * W), found[v] = Vec<I>(static_cast<I>(first));
  for (int64_t d = a.start[0][o[0]]; d < a.end[0][o[0]]; d += a.step[0])
    for (int64_t h = a.start[1][o[1]]; h < a.end[1][o[1]]; h += a.step[1])
      for (int64_t w = a.start[2][o[2]]; w < a.end[2][o[2]]; w += a.step[2]) {
        const int64_t at = (d * a.in[1] + h) * a.in[2] + w;
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const V value = load(x + at * a.channels + v * W);
          const Mask<T> better = (value > best[v]) | (value != value);
          best[v] = select(better, value, best[v]);
          if (kIndex) found[v] = select(Mask<I>{better.v}, Vec<I>(static_cast<I>(at)), found[v]);
        }
      }
  I places[NV * W];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    best[v].store(y + v * W, NV == 1 ? n : W);
    if (kIndex) found[v].store(places + v * W);
  }
  for (int64_t l = 0; kIndex && l < (NV - 1) * W + n; ++l) index[l] = places[l];
}

template <class T, bool kIndex>
void max_pool_channels(const MaxPoolArgs& a) {
  constexpr int64_t W = Vec<T>::kSize;
  const int64_t in = product3(a.in), rows = a.out[0] * a.out[1], row = a.out[2] * a.channels;
  const auto size = [&](int d) { return (a.end[d][0] - a.start[d][0]) / a.step[d] + 1; };
  const double ns = static_cast<double>(size(0) * size(1) * size(2) * row) / W;
  parallel_for(0, a.planes * rows, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t ow = 0; ow < a.out[2]; ++ow) {
        const int64_t o[3] = {r % rows / a.out[1], r % a.out[1], ow}, to = r * row + ow * a.channels;
        const T* const x = static_cast<const T*>(a.x) + r / rows * in * a.channels;
        T* const y = static_cast<T*>(a.y) + to;
        int64_t* const index = kIndex ? a.index + to : nullptr;
        int64_t c = 0;
        for (; c + 4 * W <= a.channels; c += 4 * W) max_of_channels<T, kIndex, 4>(a, x + c, o, W, y + c, index + c);
        for (; c < a.channels; c += W)
          max_of_channels<T, kIndex, 1>(a, x + c, o, min_of(W, a.channels - c), y + c, index + c);
      }
  });
}

template <class T>
void max_pool_of(const MaxPoolArgs& a) {
  if (a.channels > 1 && product3(a.in) < (int64_t{1} << 30))
    return a.index ? max_pool_channels<T, true>(a) : max_pool_channels<T, false>(a);
  if constexpr (!std::is_integral_v<T>)
    if (a.sliding && a.out[2] >= min_of(4, Vec<T>::kSize / 2) && product3(a.in) < (int64_t{1} << 30))
      return a.index ? max_pool_sliding<T, true>(a) : max_pool_sliding<T, false>(a);
  a.index ? max_pool_as<T, true>(a) : max_pool_as<T, false>(a);
}

template <class T>
void max_pool_backward_of(const MaxPoolGradArgs& a) {
  constexpr int64_t kRun = 64;  // channels of a task, where there are many
  const int64_t runs = ceil_div(a.channels, kRun), width = min_of(a.channels, kRun);
  const T* const g = static_cast<const T*>(a.g);
  const double ns = static_cast<double>(a.in * width) / 8 + static_cast<double>(a.out * width);
  parallel_for(0, a.planes * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t p = task / runs, c0 = task % runs * kRun, c1 = min_of(a.channels, c0 + kRun);
      T* x = static_cast<T*>(a.x) + p * a.in * a.channels;
      if (runs == 1) {
        __builtin_memset(x, 0, static_cast<size_t>(a.in * a.channels) * sizeof(T));
      } else {
        for (int64_t i = 0; i < a.in; ++i)
          __builtin_memset(x + i * a.channels + c0, 0, static_cast<size_t>(c1 - c0) * sizeof(T));
      }
      const int64_t first = p * a.out, last = first + a.out;
      if (a.channels == 1) {
        for (int64_t i = first; i < last; ++i) x[a.index[i]] += g[i];
        continue;
      }
      for (int64_t i = first; i < last; ++i)
        for (int64_t c = c0, at = i * a.channels; c < c1; ++c) x[a.index[at + c] * a.channels + c] += g[at + c];
    }
  });
}

}  // namespace

void max_pool_backward(const MaxPoolGradArgs& a) {
  a.dtype == DType::Float64 ? max_pool_backward_of<double>(a) : max_pool_backward_of<float>(a);
}

void max_pool(const MaxPoolArgs& a) {
  a.dtype == DType::Float32   ? max_pool_of<float>(a)
  : a.dtype == DType::Float64 ? max_pool_of<double>(a)
                              : max_pool_of<int64_t>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
