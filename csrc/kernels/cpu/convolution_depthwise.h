// convolution_depthwise.h -- one input channel per group: direct loops, vectors along the last dim.
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

template <class T>
void depthwise_forward(const ConvArgs& a) {
  using V = Vec<T>;
  const Phases ph(a.g, V::kSize);
  const int64_t taps = product3(a.g.kernel), in = product3(a.g.in), out = product3(a.g.out), ow = a.g.out[2];
  parallel_for(0, a.batch * a.groups, depthwise_grain(a), [&](int64_t begin, int64_t end) {
    const Scratch<T> plane(ph.size());
    const Scratch<int64_t> tap(taps), offset(taps);
    for (int64_t t = begin; t < end; ++t) {
      const int64_t g = t % a.groups;
      ph.split(static_cast<const T*>(a.x) + t * in, plane.get(), T(0));
      for (int64_t r = 0; r < a.g.out[0] * a.g.out[1]; ++r) {
        int64_t n = 0;
        ph.for_taps_of_row(r / a.g.out[1], r % a.g.out[1],
                           [&](int64_t k, int64_t at, int64_t) { tap[n] = k, offset[n++] = at; });
        for (int64_t m = 0; m < a.co; ++m) {
          const T* w = static_cast<const T*>(a.w) + (g * a.co + m) * taps;
          const V b(a.bias ? static_cast<const T*>(a.bias)[g * a.co + m] : T(0));
          T* y = static_cast<T*>(a.y) + (t * a.co + m) * out + r * ow;
          for (int64_t o = 0; o < ow; o += V::kSize) {
            V acc = b;
            for (int64_t k = 0; k < n; ++k) acc = fma(V(w[tap[k]]), V::load(plane.get() + offset[k] + o), acc);
            acc.store(y + o, ow - o);
          }
        }
      }
    }
  });
}

template <class T>
void depthwise_backward_input(const ConvArgs& a) {
  using V = Vec<T>;
  const Phases ph(a.g, V::kSize);
  const int64_t taps = product3(a.g.kernel), in = product3(a.g.in), out = product3(a.g.out), ow = a.g.out[2];
  parallel_for(0, a.batch * a.groups, depthwise_grain(a), [&](int64_t begin, int64_t end) {
    const Scratch<T> plane(ph.size());
    for (int64_t t = begin; t < end; ++t) {
      const int64_t g = t % a.groups;
      for (int64_t i = 0; i < ph.size(); ++i) plane[i] = T(0);
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
  using V = Vec<T>;
  const Phases ph(a.g, V::kSize);
  const int64_t taps = product3(a.g.kernel), in = product3(a.g.in), out = product3(a.g.out), ow = a.g.out[2];
  parallel_for(0, a.groups, max_of<int64_t>(1, depthwise_grain(a) / max_of<int64_t>(a.batch, 1)),
               [&](int64_t begin, int64_t end) {
                 const Scratch<T> plane(ph.size());
                 const Scratch<V> acc(taps);
                 const Scratch<double> total(a.co * taps);
                 for (int64_t g = begin; g < end; ++g) {
                   for (int64_t i = 0; i < a.co * taps; ++i) total[i] = 0;
                   for (int64_t n = 0; n < a.batch; ++n) {
                     const int64_t t = n * a.groups + g;
                     ph.split(static_cast<const T*>(a.x) + t * in, plane.get(), T(0));
                     for (int64_t m = 0; m < a.co; ++m) {
                       for (int64_t k = 0; k < taps; ++k) acc[k] = V(T(0));
                       for (int64_t r = 0; r < a.g.out[0] * a.g.out[1]; ++r) {
                         const T* y = static_cast<const T*>(a.y) + (t * a.co + m) * out + r * ow;
                         ph.for_taps_of_row(r / a.g.out[1], r % a.g.out[1], [&](int64_t k, int64_t at, int64_t) {
                           V sum = acc[k];
                           for (int64_t o = 0; o < ow; o += V::kSize)
                             sum = fma(V::load(y + o, ow - o), V::load(plane.get() + at + o, ow - o), sum);
                           acc[k] = sum;
                         });
                       }
                       for (int64_t k = 0; k < taps; ++k)
                         total[m * taps + k] += static_cast<double>(reduce_add(acc[k]));
                     }
                   }
                   T* w = static_cast<T*>(a.w) + g * a.co * taps;
                   for (int64_t i = 0; i < a.co * taps; ++i) w[i] = static_cast<T>(total[i]);
                 }
               });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
