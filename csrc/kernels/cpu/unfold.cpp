// unfold.cpp -- im2col and its adjoint as kernels of their own, for nn.Unfold and nn.Fold.
#include "kernels/cpu/unfold.h"

#include "core/parallel.h"
#include "kernels/cpu/elements.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// f(channel of all batches)
template <class F>
void over_channels(const UnfoldArgs& a, F f) {
  const double ns = static_cast<double>(product3(a.g.kernel) * product3(a.g.out)) / 2;
  parallel_for(0, a.batch * a.channels, grain_for(ns + 10), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) f(c);
  });
}

}  // namespace

void unfold(const UnfoldArgs& a) {
  const int64_t in = product3(a.g.in), taps = product3(a.g.kernel), out = product3(a.g.out);
  by_size(a.dtype, [&](auto e) {
    using E = decltype(e);
    over_channels(a, [&](int64_t c) {
      unfold_pixels(a.g, static_cast<const E*>(a.x) + c * in, 1, 0, out, static_cast<E*>(a.col) + c * taps * out, out);
    });
  });
}

void fold(const UnfoldArgs& a) {
  const int64_t in = product3(a.g.in), taps = product3(a.g.kernel), out = product3(a.g.out);
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    over_channels(a, [&](int64_t c) {
      S* x = static_cast<S*>(a.x) + c * in;
      for (int64_t i = 0; i < in; ++i) x[i] = S{};
      fold_pixels(a.g, x, 1, 0, out, static_cast<const S*>(a.col) + c * taps * out, out,
                  [](S p, S q) { return sum_of(p, q); });
    });
  });
}

}  // namespace PYNN_CPU_NAMESPACE
