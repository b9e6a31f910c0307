// positions.cpp -- index tensors to positions in memory, and flat positions to coordinates.
#include "core/parallel.h"
#include "kernels/cpu/first_bad.h"
#include "kernels/cpu/scratch.h"
#include "kernels/indexing.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Where each step of a walk stands: to[0 .. count).
void offsets(const Walk& w, int64_t* to) {
  to[0] = 0;
  int64_t n = 1;
  for (int d = w.ndim - 1; d >= 0; --d) {
    for (int64_t i = 1; i < w.sizes[d]; ++i)
      for (int64_t k = 0; k < n; ++k) to[i * n + k] = to[k] + i * w.strides[d];
    n *= w.sizes[d];
  }
}

}  // namespace

int64_t index_positions(const PositionsArgs& a) {
  for (int k = 0; k < a.nindex; ++k)
    if (const int64_t bad = first_bad(a.index[k], a.n, a.wrap ? -a.sizes[k] : 0, a.sizes[k]); bad >= 0)
      return k * a.n + bad;
  if (a.before.count == 0 || a.after.count == 0) return -1;
  const Scratch<int64_t> before(a.before.count), after(a.after.count);
  offsets(a.before, before.get());
  offsets(a.after, after.get());
  const int64_t nafter = a.after.count;
  parallel_for(0, a.n, grain_for(static_cast<double>(a.nindex + a.before.count * nafter)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   int64_t here = 0;
                   for (int k = 0; k < a.nindex; ++k) {
                     const int64_t at = a.index[k][i];
                     here += (at < 0 ? at + a.sizes[k] : at) * a.strides[k];
                   }
                   for (int64_t b = 0; b < a.before.count; ++b) {
                     int64_t* to = a.out + (b * a.n + i) * nafter;
                     for (int64_t j = 0; j < nafter; ++j) to[j] = before[b] + here + after[j];
                   }
                 }
               });
  return -1;
}

// Ascending positions, as nonzero gives them, mostly stay in one run along the last dim.
void coordinates(const CoordinatesArgs& a) {
  const int last = a.ndim - 1;
  int64_t outer[kMaxDims] = {};  // of the current run
  int64_t begin = 0, end = 0;
  for (int64_t i = 0; i < a.n; ++i) {
    if (a.flat[i] < begin || a.flat[i] >= end) {
      int64_t rest = a.flat[i] / a.sizes[last];
      begin = rest * a.sizes[last];
      end = begin + a.sizes[last];
      for (int d = last - 1; d >= 0; --d) {
        outer[d] = rest % a.sizes[d];
        rest /= a.sizes[d];
      }
    }
    for (int d = 0; d < last; ++d) a.to[i * a.step + d * a.jump] = outer[d];
    a.to[i * a.step + last * a.jump] = a.flat[i] - begin;
  }
}

}  // namespace PYNN_CPU_NAMESPACE
