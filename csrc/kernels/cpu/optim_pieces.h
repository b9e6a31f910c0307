// optim_pieces.h -- the loop over the elements of all tensors of an optimiser's step.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/vec_fp.h"
#include "kernels/optim.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// piece(tensor, begin, n) for all tensors, cut where the threads' shares end.
template <class F>
PYNN_INLINE void each_piece(const OptimTensor* tensors, int64_t count, double ns, F piece) {
  int64_t total = 0;
  for (int64_t k = 0; k < count; ++k) total += tensors[k].n;
  parallel_for(0, total, grain_for(ns), [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // number of the tensor's first element among all
    for (int64_t k = 0; k < count && first < end; ++k) {
      const OptimTensor& t = tensors[k];
      const int64_t from = begin > first ? begin - first : 0, to = end - first < t.n ? end - first : t.n;
      if (from < to) piece(t, from, to - from);
      first += t.n;
    }
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE

// Defines name_step from name_piece<S>(tensor, begin, n, args); ns: cost of an element.
#define PYNN_STEP(name, Args, ns)                                                        \
  void name##_step(const OptimTensor* tensors, int64_t count, const Args& args) {        \
    each_piece(tensors, count, ns, [&](const OptimTensor& t, int64_t begin, int64_t n) { \
      if (t.dtype == DType::Float32) return name##_piece<float>(t, begin, n, args);      \
      if (t.dtype == DType::Float64) return name##_piece<double>(t, begin, n, args);     \
      if (t.dtype == DType::Float16) return name##_piece<Half>(t, begin, n, args);       \
      if (t.dtype == DType::BFloat16) return name##_piece<BFloat16>(t, begin, n, args);  \
      no_loop(#name "_step", t.dtype);                                                   \
    });                                                                                  \
  }
