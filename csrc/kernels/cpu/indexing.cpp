// indexing.cpp -- gather, scatter and their kin on contiguous memory.
//
//   rows_gather  y[r, :] = x[index[r], :]            gather   y[o, k, i] = x[o, index[o, k, i], i]
//   rows_add     y[index[r], :] += x[r, :]           scatter  y[o, index[o, k, i], i] op= x[o, k, i]
//
// All indices are checked before the first write to memory that holds something. Moves are by element size, sums by
// dtype (half types round after each addition, bool is or / and). Parallel over outputs that no two tasks share, each
// of which sees its terms in order.
#include "kernels/indexing.h"

#include "core/parallel.h"
#include "kernels/cpu/first_bad.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class E>
void gather_rows(const RowsArgs& args) {
  const double ns = static_cast<double>(args.row) * static_cast<double>(sizeof(E)) / 16 + 1;
  parallel_for(0, args.nblocks * args.nindex, grain_for(ns), [&](int64_t begin, int64_t end) {
    const RowsArgs a = args;  // a copy that no write can reach: it stays in registers
    E* y = static_cast<E*>(a.y) + begin * a.row;
    int64_t block = begin / a.nindex, first = begin % a.nindex;
    for (int64_t left = end - begin; left > 0; ++block, first = 0) {
      const E* x = static_cast<const E*>(a.x) + (a.blocks ? a.blocks[block] : block * a.nrows) * a.row;
      const int64_t *index = a.index + first, n = min_of(a.nindex - first, left);
      if (a.row == 1 && !a.wrap)
        for (int64_t r = 0; r < n; ++r) y[r] = x[index[r]];
      else if (a.row == 1)
        for (int64_t r = 0; r < n; ++r) y[r] = x[wrapped(index[r], a.nrows)];
      else
        for (int64_t r = 0; r < n; ++r) copy_row(y + r * a.row, x + wrapped(index[r], a.nrows) * a.row, a.row);
      y += n * a.row, left -= n;
    }
  });
}

template <class S>
void add_rows(const RowsArgs& a) {
  const S* x = static_cast<const S*>(a.x);
  S* y = static_cast<S*>(a.y);
  if (a.row == 1) {
    for (int64_t r = 0; r < a.nindex; ++r) {
      const int64_t to = wrapped(a.index[r], a.nrows);
      if (to != a.skip) y[to] = sum_of(y[to], x[r]);
    }
    return;
  }
  each_row_in_order(a, [&](int64_t r, int64_t to, int64_t c, int64_t width) {
    add_row(y + to * a.row + c, x + r * a.row + c, width);
  });
}

// Checks indices as it comes to them, since y is new: the first bad one, or -1. Tasks are pieces of the middle dim, or
// several outer ones, so that short rows are checked together.
template <class E>
int64_t gather_along(const GatherArgs& args) {
  constexpr int64_t kElements = 2048;  // of a task
  BadIndex bad;
  const int64_t piece = min_of(args.nindex, max_of<int64_t>(kElements / args.inner, 1));
  const int64_t pieces = ceil_div(args.nindex, piece);
  const int64_t group = max_of<int64_t>(kElements / (args.nindex * args.inner), 1);  // more than 1 if pieces is 1
  const double ns = 0.8 * static_cast<double>(group * piece * args.inner) + 5;
  parallel_for(0, ceil_div(args.outer, group) * pieces, grain_for(ns), [&](int64_t begin, int64_t end) {
    const GatherArgs a = args;  // a copy that no write can reach: it stays in registers
    const int64_t n = a.inner;
    for (int64_t t = begin; t < end; ++t) {
      const int64_t o = t / pieces * group, k0 = t % pieces * piece, at = (o * a.nindex + k0) * n;
      const int64_t many = min_of(a.outer - o, group), rows = min_of(a.nindex - k0, piece);
      const int64_t* index = a.index + at;
      if (const int64_t wrong = first_bad_serial(index, many * rows * n, 0, a.nx); wrong >= 0) {
        bad.see(at + wrong);
        continue;
      }
      const E* x = static_cast<const E*>(a.x) + o * a.nx * n;
      E* y = static_cast<E*>(a.y) + at;
      for (int64_t g = 0; g < many; ++g, x += a.nx * n) {
        if (n == 1) {
          for (int64_t k = 0; k < rows; ++k) y[k] = x[index[k]];
          y += rows, index += rows;
          continue;
        }
        for (int64_t k = 0; k < rows; ++k, index += n, y += n)
          for (int64_t i = 0; i < n; ++i) y[i] = x[index[i] * n + i];
      }
    }
  });
  return bad.get();
}

// op(destination, value) for every index, in order for each destination: tasks own outer indices and runs of columns.
template <class S, class Op>
void scatter_along(const GatherArgs& a, Op op) {
  const S* x = static_cast<const S*>(a.x);
  S* y = static_cast<S*>(a.y);
  const int64_t threads = num_threads(), value_step = a.scalar_src ? 0 : 1;
  const int64_t width = a.outer >= threads ? a.inner : min_of(a.inner, round_up(ceil_div(a.inner, threads), 16));
  const int64_t runs = ceil_div(a.inner, width);
  const double ns = 1.2 * static_cast<double>(a.nindex) * static_cast<double>(width) + 5;
  if (a.inner == 1) {
    const int64_t nindex = a.nindex, nx = a.nx;
    parallel_for(0, a.outer, grain_for(ns), [=](int64_t begin, int64_t end) {
      const int64_t* index = a.index + begin * nindex;
      for (int64_t o = begin; o < end; ++o, index += nindex) {
        S* to = y + o * nx;
        const S* from = x + o * nindex * value_step;
        if (value_step)
          for (int64_t k = 0; k < nindex; ++k) op(to[index[k]], from[k]);
        else
          for (int64_t k = 0; k < nindex; ++k) op(to[index[k]], *from);
      }
    });
    return;
  }
  parallel_for(0, a.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t o = t / runs, c = t % runs * width, n = min_of(width, a.inner - c);
      S* to = y + o * a.nx * a.inner + c;
      const int64_t* index = a.index + o * a.nindex * a.inner + c;
      const S* from = x + (index - a.index) * value_step;
      for (int64_t k = 0; k < a.nindex; ++k, index += a.inner, from += a.inner * value_step)
        for (int64_t i = 0; i < n; ++i) op(to[index[i] * a.inner + i], from[i * value_step]);
    }
  });
}

}  // namespace

int64_t rows_gather(const RowsArgs& a) {
  if (const int64_t bad = first_bad(a.index, a.nindex, a.wrap ? -a.nrows : 0, a.nrows); bad >= 0) return bad;
  if (a.row > 0) by_size(a.dtype, [&](auto e) { gather_rows<decltype(e)>(a); });
  return -1;
}

int64_t rows_add(const RowsArgs& a) {
  if (const int64_t bad = first_bad(a.index, a.nindex, a.wrap ? -a.nrows : 0, a.nrows); bad >= 0) return bad;
  by_dtype(a.dtype, [&](auto s) { add_rows<decltype(s)>(a); });
  return -1;
}

int64_t gather(const GatherArgs& a) {
  if (a.outer == 0 || a.nindex == 0 || a.inner == 0) return -1;
  int64_t bad = -1;
  by_size(a.dtype, [&](auto e) { bad = gather_along<decltype(e)>(a); });
  return bad;
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
