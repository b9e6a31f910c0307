// cumulative.cpp -- y[o, r, i] = the extremum, or log(sum(exp)), of x[o, 0 .. r, i]; and the modes of sorted rows.
//
// Parallel over outer indices and columns. Half types compare as float; log-sum-exp accumulates in double.
#include "kernels/cumulative.h"

#include "core/parallel.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// A type with the order of S's values.
template <class S>
struct Comparable {
  using Type = S;
};
template <>
struct Comparable<Half> {
  using Type = float;
};
template <>
struct Comparable<BFloat16> {
  using Type = float;
};

// f(offset of the first element) for every line along the middle dim.
template <class F>
PYNN_INLINE void each_line(const CumulativeArgs& a, double ns, F f) {
  parallel_for(0, a.outer * a.inner, grain_for(ns * static_cast<double>(a.n) + 5), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i / a.inner * a.n * a.inner + i % a.inner);
  });
}

template <class S, bool kMax>
void extreme(const CumulativeArgs& a) {
  using C = typename Comparable<S>::Type;
  each_line(a, 2, [&](int64_t at) {
    const S* x = static_cast<const S*>(a.x);
    S* y = static_cast<S*>(a.y);
    S best = x[at];
    C best_value = static_cast<C>(best);
    int64_t place = 0;
    for (int64_t r = 0; r < a.n; ++r, at += a.inner) {
      const C v = static_cast<C>(x[at]);
      if (v != v || (kMax ? v >= best_value : v <= best_value)) best = x[at], best_value = v, place = r;
      y[at] = best;
      a.index[at] = place;
    }
  });
}

PYNN_INLINE double log_add(double a, double b) {
  if (a == b && a - a != 0) return a;  // both the same infinity
  const double high = a > b || a != a ? a : b, low = a > b || a != a ? b : a;
  return high + __builtin_log1p(__builtin_exp(low - high));
}

}  // namespace

void cumulative_extreme(const CumulativeArgs& a, bool largest) {
  if (a.outer * a.n * a.inner == 0) return;
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S>)
      no_loop("cumulative_extreme", a.dtype);
    else
      largest ? extreme<S, true>(a) : extreme<S, false>(a);
  });
}

void cumulative_logsumexp(const CumulativeArgs& a) {
  if (a.outer * a.n * a.inner == 0) return;
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S> || std::is_integral_v<S>) {
      no_loop("cumulative_logsumexp", a.dtype);
    } else {
      using C = typename Comparable<S>::Type;
      each_line(a, 25, [&](int64_t at) {
        double total = -__builtin_inf();
        for (int64_t r = 0; r < a.n; ++r, at += a.inner) {
          total = log_add(total, static_cast<double>(static_cast<C>(static_cast<const S*>(a.x)[at])));
          static_cast<S*>(a.y)[at] = static_cast<S>(static_cast<C>(total));
        }
      });
    }
  });
}

void mode_rows(const ModeArgs& a) {
  if (a.n == 0) return;
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S>) {
      no_loop("mode", a.dtype);
    } else {
      using C = typename Comparable<S>::Type;
      parallel_for(0, a.rows, grain_for(static_cast<double>(a.n) + 5), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const S* x = static_cast<const S*>(a.sorted) + row * a.n;
          int64_t best = 0, best_end = 0;
          for (int64_t i = 0; i < a.n;) {
            const C v = static_cast<C>(x[i]);
            int64_t j = i + 1;
            while (j < a.n && (static_cast<C>(x[j]) == v || v != v)) ++j;
            if (j - i > best) best = j - i, best_end = j - 1;
            i = j;
          }
          static_cast<S*>(a.mode)[row] = x[best_end];
          a.position[row] = a.index[row * a.n + best_end];
        }
      });
    }
  });
}

}  // namespace PYNN_CPU_NAMESPACE
