// indexing.cpp -- gather, scatter and their kin on contiguous memory.
//
//   rows_gather  y[r, :] = x[index[r], :]            gather   y[o, k, i] = x[o, index[o, k, i], i]
//   rows_add     y[index[r], :] += x[r, :]           scatter  y[o, index[o, k, i], i] op= x[o, k, i]
//
// All indices are checked before the first write. Moves are by element size, sums by dtype (half types round after each
// addition, bool is or / and). Parallel over outputs that no two tasks share, each of which sees its terms in order.
#include "kernels/indexing.h"

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/first_bad.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

PYNN_INLINE int64_t wrapped(int64_t index, int64_t n) { return index < 0 ? index + n : index; }

template <class E>
void gather_elements(const RowsArgs& a) {
  parallel_for(0, a.nindex, grain_for(1), [&](int64_t begin, int64_t end) {
    const E* x = static_cast<const E*>(a.x);
    E* y = static_cast<E*>(a.y);
    for (int64_t r = begin; r < end; ++r) y[r] = x[wrapped(a.index[r], a.nrows)];
  });
}

template <class S>
void add_rows(const RowsArgs& a) {
  const S* x = static_cast<const S*>(a.x);
  S* y = static_cast<S*>(a.y);
  const auto add = [&](int64_t c0, int64_t c1, int64_t low, int64_t high) {
    for (int64_t r = 0; r < a.nindex; ++r) {
      const int64_t to = wrapped(a.index[r], a.nrows);
      if (to < low || to >= high || to == a.skip) continue;
      S* into = y + to * a.row;
      const S* from = x + r * a.row;
      for (int64_t c = c0; c < c1; ++c) into[c] = sum_of(into[c], from[c]);
    }
  };
  constexpr int64_t columns = 256, parts = 16;
  if (a.nindex * a.row < (1 << 15)) return add(0, a.row, 0, a.nrows);
  if (a.row >= 4 * columns)
    parallel_for(0, ceil_div(a.row, columns), 1,
                 [&](int64_t begin, int64_t end) { add(begin * columns, min_of(a.row, end * columns), 0, a.nrows); });
  else  // each task reads all of the index and writes its own range of rows
    parallel_for(0, parts, 1,
                 [&](int64_t begin, int64_t end) { add(0, a.row, a.nrows * begin / parts, a.nrows * end / parts); });
}

template <class E>
void gather_along(const GatherArgs& a) {
  const E* x = static_cast<const E*>(a.x);
  E* y = static_cast<E*>(a.y);
  parallel_for(0, a.outer * a.nindex, grain_for(1.5 * static_cast<double>(a.inner)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const E* from = x + r / a.nindex * a.nx * a.inner;
      for (int64_t i = 0; i < a.inner; ++i) y[r * a.inner + i] = from[a.index[r * a.inner + i] * a.inner + i];
    }
  });
}

// op(destination, value) for every index; tasks own outer indices and runs of columns.
template <class S, class Op>
void scatter_along(const GatherArgs& a, Op op) {
  constexpr int64_t run = 64;
  const S* x = static_cast<const S*>(a.x);
  S* y = static_cast<S*>(a.y);
  const int64_t runs = ceil_div(a.inner, run), value_step = a.scalar_src ? 0 : 1;
  const double ns = 1.5 * static_cast<double>(a.nindex) * static_cast<double>(min_of(run, a.inner));
  parallel_for(0, a.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t o = t / runs, c = t % runs * run;
      S* to = y + o * a.nx * a.inner;
      for (int64_t k = 0; k < a.nindex; ++k)
        for (int64_t i = c; i < min_of(a.inner, c + run); ++i) {
          const int64_t at = (o * a.nindex + k) * a.inner + i;
          op(to[a.index[at] * a.inner + i], x[at * value_step]);
        }
    }
  });
}

}  // namespace

int64_t rows_gather(const RowsArgs& a) {
  if (const int64_t bad = first_bad(a.index, a.nindex, a.wrap ? -a.nrows : 0, a.nrows); bad >= 0) return bad;
  if (a.row == 0) return -1;
  if (a.row == 1) {
    by_size(a.dtype, [&](auto e) { gather_elements<decltype(e)>(a); });
    return -1;
  }
  const int64_t bytes = a.row * static_cast<int64_t>(item_size(a.dtype));
  const Convert copy = converter(a.dtype, a.dtype);
  parallel_for(0, a.nindex, grain_for(static_cast<double>(bytes) / 16 + 5), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      copy(static_cast<char*>(a.y) + r * bytes, {0, 1},
           static_cast<const char*>(a.x) + wrapped(a.index[r], a.nrows) * bytes, {0, 1}, 1, a.row);
  });
  return -1;
}

int64_t rows_add(const RowsArgs& a) {
  if (const int64_t bad = first_bad(a.index, a.nindex, a.wrap ? -a.nrows : 0, a.nrows); bad >= 0) return bad;
  by_dtype(a.dtype, [&](auto s) { add_rows<decltype(s)>(a); });
  return -1;
}

int64_t gather(const GatherArgs& a) {
  if (const int64_t bad = first_bad(a.index, a.outer * a.nindex * a.inner, 0, a.nx); bad >= 0) return bad;
  if (a.nindex > 0 && a.inner > 0) by_size(a.dtype, [&](auto e) { gather_along<decltype(e)>(a); });
  return -1;
}

int64_t scatter(const GatherArgs& a) {
  if (const int64_t bad = first_bad(a.index, a.outer * a.nindex * a.inner, 0, a.nx); bad >= 0) return bad;
  if (a.inner == 0) return -1;
  if (a.mode == ScatterMode::Assign)
    by_size(a.dtype, [&](auto e) { scatter_along<decltype(e)>(a, [](auto& to, auto v) { to = v; }); });
  else if (a.mode == ScatterMode::Add)
    by_dtype(a.dtype, [&](auto s) { scatter_along<decltype(s)>(a, [](auto& to, auto v) { to = sum_of(to, v); }); });
  else if (a.mode == ScatterMode::Multiply)
    by_dtype(a.dtype, [&](auto s) { scatter_along<decltype(s)>(a, [](auto& to, auto v) { to = product_of(to, v); }); });
  else
    by_dtype(a.dtype, [&](auto s) {
      using S = decltype(s);
      if constexpr (kIsComplex<S>)
        no_loop("scatter_reduce", a.dtype);
      else if (a.mode == ScatterMode::Max)
        scatter_along<S>(a, [](S& to, S v) { to = extreme_of<true>(to, v); });
      else
        scatter_along<S>(a, [](S& to, S v) { to = extreme_of<false>(to, v); });
    });
  return -1;
}

int64_t nonzero(const void* x, DType dtype, int64_t n, int64_t* index) {
  constexpr int64_t chunk = 1 << 15;
  const int64_t chunks = ceil_div(n, chunk);
  const Scratch<int64_t> found(chunks + 1);
  by_dtype(dtype, [&](auto s) {
    using S = decltype(s);
    const S* p = static_cast<const S*>(x);
    parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        int64_t count = 0;
        for (int64_t i = c * chunk; i < min_of(n, (c + 1) * chunk); ++i) count += is_nonzero(p[i]);
        found[c] = count;
      }
    });
    int64_t total = 0;
    for (int64_t c = 0; c < chunks; ++c) {
      const int64_t count = found[c];
      found[c] = total;
      total += count;
    }
    found[chunks] = total;
    if (!index) return;
    parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        int64_t at = found[c];
        const int64_t last = found[c + 1];
        // Written without a branch: a miss is overwritten by the next hit.
        for (int64_t i = c * chunk; at < last; ++i) {
          index[at] = i;
          at += is_nonzero(p[i]);
        }
      }
    });
  });
  return found[chunks];
}

}  // namespace PYNN_CPU_NAMESPACE
