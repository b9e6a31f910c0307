// search.cpp -- binary searches, parallel over values; counts per bin, one pass in order.
#include "kernels/search.h"

#include "core/parallel.h"
#include "kernels/cpu/elements.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class S>
struct Ordered {
  using Type = S;
};
template <>
struct Ordered<Half> {
  using Type = float;
};
template <>
struct Ordered<BFloat16> {
  using Type = float;
};

template <class S>
void search(const SearchArgs& a) {
  using C = typename Ordered<S>::Type;
  double steps = 4;
  for (int64_t n = a.n; n > 0; n /= 2) steps += 2;
  parallel_for(0, a.rows * a.count, grain_for(steps), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = a.one_row ? 0 : i / a.count * a.n;
      const S* row = static_cast<const S*>(a.sorted) + start;
      const int64_t* order = a.sorter ? a.sorter + start : nullptr;
      const C v = static_cast<C>(static_cast<const S*>(a.values)[i]);
      const auto before = [=](int64_t at) __attribute__((always_inline)) {
        const C m = static_cast<C>(row[order ? order[at] : at]);
        return !(a.right ? m > v : m >= v);
      };
      // Without branches in the loop: which half it is cannot be foreseen. The places looked at are PyTorch's, so that
      // unsorted rows give its results too.
      int64_t low = 0, n = a.n;
      while (n > 0) {
        const int64_t half = n / 2;
        const bool above = before(low + half);
        low = above ? low + half + 1 : low;
        n = above ? n - half - 1 : half;
      }
      a.places[i] = low;
    }
  });
}

}  // namespace

void search_sorted(const SearchArgs& a) {
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S>)
      no_loop("searchsorted", a.dtype);
    else
      search<S>(a);
  });
}

void histogram_even(const void* x, DType dtype, int64_t n, double low, double high, double* counts, int64_t bins) {
  by_dtype(dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S> || std::is_integral_v<S>) {
      no_loop("histogram", dtype);
    } else {
      using C = typename Ordered<S>::Type;
      const C first = static_cast<C>(low), last = static_cast<C>(high), width = last - first;
      for (int64_t i = 0; i < n; ++i) {
        const C v = static_cast<C>(static_cast<const S*>(x)[i]);
        if (!(v >= first && v <= last)) continue;
        const int64_t bin = static_cast<int64_t>((v - first) * static_cast<C>(bins) / width);
        counts[bin < bins ? bin : bins - 1] += 1;
      }
    }
  });
}

void count_positions(const int64_t* x, int64_t n, const double* weights, double* counts) {
  for (int64_t i = 0; i < n; ++i) counts[x[i]] += weights ? weights[i] : 1;
}

}  // namespace PYNN_CPU_NAMESPACE
