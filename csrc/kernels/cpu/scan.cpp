// scan.cpp -- y[o, r, i] = x[o, 0, i] + ... + x[o, r, i] (or the product) for [outer, n, inner].
//
// float32 and half types accumulate in double, integers in int64. One sum after the other would wait for its adder, so
// kChains lines run side by side: rows, or pieces of one long row, each of which starts from the sum of those before.
// Parallel over those, or over outer indices and runs of columns. Products have no pieces: 0 * inf may come about.
#include <type_traits>

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"
#include "kernels/reduce.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Of a long row; not 4096, as the lines of all chains would lie in the same sets of L1.
constexpr int64_t kPiece = 4096 + 80;
constexpr int64_t kRun = 256;  // columns that are worked on together
constexpr int kChains = 4;

template <class A, bool kProduct>
PYNN_INLINE A next(A total, A x) {
  if constexpr (std::is_integral_v<A>) {  // integers wrap
    const uint64_t a = static_cast<uint64_t>(total), b = static_cast<uint64_t>(x);
    return static_cast<A>(kProduct ? a * b : a + b);
  } else {
    return kProduct ? total * x : total + x;
  }
}

// From S, by way of A (double or int64_t), to D.
template <class S, class D, class A, bool kProduct>
struct Scanner {
  const ReduceArgs& a;
  const S* x;
  D* y;

  explicit Scanner(const ReduceArgs& args) : a(args), x(static_cast<const S*>(args.x)), y(static_cast<D*>(args.y)) {}
  PYNN_INLINE static A read(S v) { return static_cast<A>(v); }
  PYNN_INLINE static D result(A v) { return static_cast<D>(v); }

  // `count` lines of n elements, one after the other in memory; total[k] is what line k starts from.
  static void lines(D* to, const S* from, int64_t count, int64_t n, const A* total) {
    if (count < kChains) {
      for (int64_t k = 0; k < count; ++k) {
        A t = total[k];
        for (int64_t i = k * n; i < (k + 1) * n; ++i) to[i] = result(t = next<A, kProduct>(t, read(from[i])));
      }
      return;
    }
    A t[kChains];
    for (int k = 0; k < kChains; ++k) t[k] = total[k];
    for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
      for (int k = 0; k < kChains; ++k) to[k * n + i] = result(t[k] = next<A, kProduct>(t[k], read(from[k * n + i])));
  }

  void rows() const {
    const int64_t n = a.nreduce;
    parallel_for(0, a.outer, grain_for(0.5 * static_cast<double>(n) + 2), [&](int64_t begin, int64_t end) {
      const A start(kProduct ? 1 : 0), total[kChains] = {start, start, start, start};
      for (int64_t o = begin; o < end; o += kChains)
        lines(y + o * n, x + o * n, min_of<int64_t>(kChains, end - o), n, total);
    });
  }

  A sum(int64_t at, int64_t n) const {
    A acc[8] = {};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
#pragma GCC unroll 8
      for (int u = 0; u < 8; ++u) acc[u] = next<A, false>(acc[u], read(x[at + i + u]));
    for (; i < n; ++i) acc[0] = next<A, false>(acc[0], read(x[at + i]));
    for (int half = 4; half; half /= 2)
      for (int u = 0; u < half; ++u) acc[u] = next<A, false>(acc[u], acc[u + half]);
    return acc[0];
  }

  // Each row in pieces, kChains of them at a time; the last one may be shorter, and is a line of its own.
  void long_rows() const {
    const int64_t n = a.nreduce, pieces = ceil_div(n, kPiece);
    const Scratch<A> before(pieces);
    for (int64_t o = 0; o < a.outer; ++o) {
      parallel_for(0, pieces, grain_for(0.2 * kPiece), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) before[p] = sum(o * n + p * kPiece, min_of(kPiece, n - p * kPiece));
      });
      A total(0);
      for (int64_t p = 0; p < pieces; ++p) {
        const A here = before[p];
        before[p] = total;
        total = next<A, false>(total, here);
      }
      parallel_for(0, ceil_div(pieces, kChains), grain_for(0.5 * kPiece * kChains), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin * kChains; p < min_of(pieces, end * kChains);) {
          const int64_t left = n - p * kPiece, count = min_of<int64_t>(kChains, left / kPiece);
          lines(y + o * n + p * kPiece, x + o * n + p * kPiece, max_of<int64_t>(count, 1), count ? kPiece : left,
                before.get() + p);
          p += max_of<int64_t>(count, 1);
        }
      });
    }
  }

  void columns() const {
    const int64_t runs = ceil_div(a.inner, kRun);
    const double ns = 0.5 * static_cast<double>(a.nreduce) * static_cast<double>(min_of(kRun, a.inner)) + 10;
    parallel_for(0, a.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
      A total[kRun];
      for (int64_t i = begin; i < end; ++i) {
        const int64_t c = i % runs * kRun, n = min_of(kRun, a.inner - c), at = i / runs * a.nreduce * a.inner + c;
        for (int64_t k = 0; k < round_up(n, VecF::kSize); ++k) total[k] = A(kProduct ? 1 : 0);
        for (int64_t r = 0; r < a.nreduce; ++r) add_row(y + at + r * a.inner, x + at + r * a.inner, total, n);
      }
    });
  }
  // total holds whole registers of the start value.
  PYNN_INLINE static void add_row(D* to, const S* from, A* total, int64_t n) {
    int64_t k = 0;
    if constexpr (std::is_same_v<S, float> && std::is_same_v<D, float>) {
      constexpr int half = VecD::kSize;
      const auto add = [=](int64_t at, VecD v) __attribute__((always_inline)) {
        const VecD t = VecD::load(total + at);
        const VecD sum = kProduct ? t * v : t + v;
        sum.store(total + at);
        return sum;
      };
      for (; k + 4 <= n; k += 2 * half) {
        VecD low, high;
        widen(VecF::load(from + k, n - k), low, high);
        low = add(k, low);
        narrow(low, add(k + half, high)).store(to + k, n - k);
      }
    }
    for (; k < n; ++k) to[k] = result(total[k] = next<A, kProduct>(total[k], read(from[k])));
  }
};

// Half types: lines and runs of columns in float32.
template <bool kProduct>
void scan_half(const ReduceArgs& a) {
  using Single = Scanner<float, float, double, kProduct>;
  const Convert to_float = converter(DType::Float32, a.dtype), from_float = converter(a.dtype, DType::Float32);
  const char* x = static_cast<const char*>(a.x);
  char* y = static_cast<char*>(a.y);
  const double start = kProduct ? 1 : 0, starts[kChains] = {start, start, start, start};
  const int64_t n = a.nreduce;
  if (a.inner == 1) {
    parallel_for(0, a.outer, grain_for(0.5 * static_cast<double>(n) + 2), [&](int64_t begin, int64_t end) {
      const Scratch<float> run(kChains * n);
      for (int64_t o = begin; o < end; o += kChains) {
        const int64_t count = min_of<int64_t>(kChains, end - o);
        to_float(run.get(), {0, 1}, x + 2 * o * n, {0, 1}, 1, count * n);
        Single::lines(run.get(), run.get(), count, n, starts);
        from_float(y + 2 * o * n, {0, 1}, run.get(), {0, 1}, 1, count * n);
      }
    });
    return;
  }
  const int64_t runs = ceil_div(a.inner, kRun);
  const double ns = 0.5 * static_cast<double>(n) * static_cast<double>(min_of(kRun, a.inner)) + 10;
  parallel_for(0, a.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    double total[kRun];
    float row[kRun];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % runs * kRun, w = min_of(kRun, a.inner - c);
      for (int64_t k = 0; k < round_up(w, VecF::kSize); ++k) total[k] = start;
      for (int64_t r = 0; r < n; ++r) {
        const int64_t at = 2 * ((i / runs * n + r) * a.inner + c);
        to_float(row, {0, 1}, x + at, {0, 1}, 1, w);
        Single::add_row(row, row, total, w);
        from_float(y + at, {0, 1}, row, {0, 1}, 1, w);
      }
    }
  });
}

template <class S, class D, class A, bool kProduct>
void scan_typed(const ReduceArgs& a) {
  const Scanner<S, D, A, kProduct> s(a);
  if (a.inner > 1) return s.columns();
  if (!kProduct && a.outer < 16 && a.nreduce >= 4 * kPiece) return s.long_rows();
  s.rows();
}

}  // namespace

void scan(Scan op, const ReduceArgs& a) {
  if (a.outer == 0 || a.nreduce == 0 || a.inner == 0) return;
  const bool sum = op == Scan::Sum, widened = a.y_dtype != a.dtype;  // integers, to int64
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S>) {
      no_loop("scan", a.dtype);
    } else if constexpr (kIsHalf<S>) {
      sum ? scan_half<false>(a) : scan_half<true>(a);
    } else if constexpr (std::is_integral_v<S>) {
      if (widened)
        sum ? scan_typed<S, int64_t, int64_t, false>(a) : scan_typed<S, int64_t, int64_t, true>(a);
      else
        sum ? scan_typed<S, S, int64_t, false>(a) : scan_typed<S, S, int64_t, true>(a);
    } else {
      sum ? scan_typed<S, S, double, false>(a) : scan_typed<S, S, double, true>(a);
    }
  });
}

}  // namespace PYNN_CPU_NAMESPACE
