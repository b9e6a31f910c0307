// pooling.cpp -- the largest element of each window: NaN wins, of equal values the first. Parallel over planes' rows.
#include "kernels/pooling.h"

#include "core/parallel.h"
#include "kernels/cpu/sizes.h"
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

template <class T>
void max_pool_of(const MaxPoolArgs& a) {
  a.index ? max_pool_as<T, true>(a) : max_pool_as<T, false>(a);
}

}  // namespace

void max_pool(const MaxPoolArgs& a) {
  a.dtype == DType::Float32   ? max_pool_of<float>(a)
  : a.dtype == DType::Float64 ? max_pool_of<double>(a)
                              : max_pool_of<int64_t>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
