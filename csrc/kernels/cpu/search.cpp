// search.cpp -- binary searches, parallel over values; counts per bin: weighted ones in order,
// others by pieces in parallel.
#include "kernels/search.h"

#include "core/parallel.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

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

constexpr int64_t kTogether = 8;  // searches side by side, as each waits for memory at every step

template <class S>
constexpr bool kInLanes = kHasGather && (std::is_same_v<S, float> || std::is_same_v<S, double> ||
                                         std::is_same_v<S, int32_t> || std::is_same_v<S, int64_t>);

// A register of searches side by side, twice.
template <class S>
void search_in_lanes(const SearchArgs& a, int64_t begin, int64_t end) {
  using V = Vec<S>;
  using Int = typename V::Int;
  using I = Vec<Int>;
  constexpr int U = 2, L = V::kSize;
  const S *sorted = static_cast<const S*>(a.sorted), *values = static_cast<const S*>(a.values);
  const I none(Int(0)), one(Int(1));
  for (int64_t i = begin; i < end; i += U * L) {
    V v[U];
    I start[U], low[U], n[U];
#pragma GCC unroll 2
    for (int u = 0; u < U; ++u) {
      v[u] = V::load(values + i + u * L, max_of<int64_t>(end - i - u * L, 0));
      low[u] = start[u] = none;
      n[u] = I(static_cast<Int>(a.n));
      Int starts[L];
      if (a.one_row) continue;
      for (int64_t k = 0; k < L; ++k) starts[k] = static_cast<Int>(min_of(i + u * L + k, end - 1) / a.count * a.n);
      low[u] = start[u] = I::load(starts);
    }
    const auto halve = [&](auto right) __attribute__((always_inline)) {
      for (int64_t left = a.n; left > 0; left /= 2)
#pragma GCC unroll 2
        for (int u = 0; u < U; ++u) {
          const I half = n[u] >> 1;
          const Mask<Int> some = n[u] > none;
          const V m = gather(sorted, select(some, low[u] + half, none));
          const Mask<S> more = right ? m > v[u] : m >= v[u];
          const Mask<Int> above = ~Mask<Int>{more.v} & some;
          low[u] = select(above, low[u] + half + one, low[u]);
          n[u] = select(above, n[u] - half - one, half);
        }
    };
    a.right ? halve(std::true_type()) : halve(std::false_type());
#pragma GCC unroll 2
    for (int u = 0; u < U; ++u) {
      Int places[L];
      (low[u] - start[u]).store(places);
      for (int64_t k = 0; k < min_of<int64_t>(L, end - i - u * L); ++k) a.places[i + u * L + k] = places[k];
    }
  }
}

template <class S>
void search(const SearchArgs& a) {
  if constexpr (kInLanes<S>)
    if (!a.sorter && (a.one_row ? 1 : a.rows) * a.n < INT32_MAX) {
      double ns = 1;
      for (int64_t n = a.n; n > 0; n /= 2) ns += 0.4;
      return parallel_for(0, a.rows * a.count, grain_for(ns),
                          [&](int64_t begin, int64_t end) { search_in_lanes<S>(a, begin, end); });
    }
  using C = typename Ordered<S>::Type;
  double steps = 4;
  for (int64_t n = a.n; n > 0; n /= 2) steps += 2;
  parallel_for(0, a.rows * a.count, grain_for(steps), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kTogether) {
      const int64_t many = min_of(end - i, kTogether);
      const S* row[kTogether];
      const int64_t* order[kTogether];
      C v[kTogether];
      int64_t low[kTogether] = {}, n[kTogether];
      for (int64_t k = 0; k < kTogether; ++k) {
        const int64_t which = i + min_of(k, many - 1), start = a.one_row ? 0 : which / a.count * a.n;
        row[k] = static_cast<const S*>(a.sorted) + start;
        order[k] = a.sorter ? a.sorter + start : nullptr;
        v[k] = static_cast<C>(static_cast<const S*>(a.values)[which]);
        n[k] = a.n;
      }
      // Without branches in the loop: which half it is cannot be foreseen. The places looked at are PyTorch's, so that
      // unsorted rows give its results too.
      const auto halve = [&](auto sorter, auto right) __attribute__((always_inline)) {
        for (int64_t left = a.n; left > 0; left /= 2)
#pragma GCC unroll 8
          for (int k = 0; k < kTogether; ++k) {
            const int64_t half = n[k] >> 1, at = min_of(low[k] + half, a.n - 1);
            const C m = static_cast<C>(row[k][sorter ? order[k][at] : at]);
            const int64_t above = -static_cast<int64_t>(!(right ? m > v[k] : m >= v[k])) & (-n[k] >> 63);  // -1, or 0
            low[k] += above & (half + 1);
            n[k] = half + (above & ((n[k] & 1) - 1));  // n - half - 1
          }
      };
      using Yes = std::true_type;
      using No = std::false_type;
      if (a.sorter)
        a.right ? halve(Yes(), Yes()) : halve(Yes(), No());
      else
        a.right ? halve(No(), Yes()) : halve(No(), No());
      for (int64_t k = 0; k < many; ++k) a.places[i + k] = low[k];
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

void count_positions(const int64_t* x, int64_t n, const double* weights, double* counts, int64_t bins) {
  constexpr int64_t piece = 1 << 15, most = 1024;
  if (weights || bins > most || n < 8 * bins) {
    for (int64_t i = 0; i < n; ++i) counts[x[i]] += weights ? weights[i] : 1;
    return;
  }
  const int64_t pieces = ceil_div(n, piece);
  const Scratch<int32_t> found(pieces * bins);
  parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
    int32_t count[4][most];  // in turn: a counter waits for its last increment
    for (int64_t p = begin; p < end; ++p) {
      for (auto& c : count)
        for (int64_t b = 0; b < bins; ++b) c[b] = 0;
      const int64_t last = min_of(n, (p + 1) * piece);
      int64_t i = p * piece;
      for (; i + 4 <= last; i += 4)
#pragma GCC unroll 4
        for (int u = 0; u < 4; ++u) ++count[u][x[i + u]];
      for (; i < last; ++i) ++count[0][x[i]];
      for (int64_t b = 0; b < bins; ++b) found[p * bins + b] = count[0][b] + count[1][b] + count[2][b] + count[3][b];
    }
  });
  for (int64_t p = 0; p < pieces; ++p)
    for (int64_t b = 0; b < bins; ++b) counts[b] += found[p * bins + b];
}

}  // namespace PYNN_CPU_NAMESPACE
