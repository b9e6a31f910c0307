// scan.cpp -- y[o, r, i] = x[o, 0, i] + ... + x[o, r, i] (or the product) for [outer, n, inner].
//
// Parallel over outer indices and runs of columns. float32 and half types accumulate in double, integers in int64.
#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/sizes.h"
#include "kernels/reduce.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kRun = 256;

template <class A, bool kProduct>
PYNN_INLINE A next(A total, A x) {
  if constexpr (sizeof(A) == 8 && A(0.5) == A(0)) {  // integers wrap
    const uint64_t a = static_cast<uint64_t>(total), b = static_cast<uint64_t>(x);
    return static_cast<A>(kProduct ? a * b : a + b);
  } else {
    return kProduct ? total * x : total + x;
  }
}

// A: accumulates; double or int64_t.
template <class A, bool kProduct>
void scan_typed(const ReduceArgs& a) {
  const Convert in = converter(DTypeOf<A>::value, a.dtype), out = converter(a.y_dtype, DTypeOf<A>::value);
  const char* x = static_cast<const char*>(a.x);
  char* y = static_cast<char*>(a.y);
  const int64_t x_item = static_cast<int64_t>(item_size(a.dtype)), y_item = static_cast<int64_t>(item_size(a.y_dtype));
  if (a.inner == 1) {
    parallel_for(0, a.outer, grain_for(1.5 * static_cast<double>(a.nreduce) + 10), [&](int64_t begin, int64_t end) {
      A run[kRun];
      for (int64_t o = begin; o < end; ++o) {
        A total = kProduct ? A(1) : A(0);
        for (int64_t i = 0; i < a.nreduce; i += kRun) {
          const int64_t n = min_of(kRun, a.nreduce - i), at = o * a.nreduce + i;
          in(run, {0, 1}, x + at * x_item, {0, 1}, 1, n);
          for (int64_t k = 0; k < n; ++k) run[k] = total = next<A, kProduct>(total, run[k]);
          out(y + at * y_item, {0, 1}, run, {0, 1}, 1, n);
        }
      }
    });
    return;
  }
  const int64_t runs = ceil_div(a.inner, kRun);
  const double ns = static_cast<double>(a.nreduce) * static_cast<double>(min_of(kRun, a.inner)) + 10;
  parallel_for(0, a.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    A total[kRun], row[kRun];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % runs * kRun, n = min_of(kRun, a.inner - c);
      for (int64_t k = 0; k < n; ++k) total[k] = kProduct ? A(1) : A(0);
      for (int64_t r = 0; r < a.nreduce; ++r) {
        const int64_t at = (i / runs * a.nreduce + r) * a.inner + c;
        in(row, {0, 1}, x + at * x_item, {0, 1}, 1, n);
        for (int64_t k = 0; k < n; ++k) total[k] = next<A, kProduct>(total[k], row[k]);
        out(y + at * y_item, {0, 1}, total, {0, 1}, 1, n);
      }
    }
  });
}

}  // namespace

void scan(Scan op, const ReduceArgs& a) {
  if (a.outer == 0 || a.nreduce == 0 || a.inner == 0) return;
  if (is_complex(a.dtype)) no_loop("scan", a.dtype);
  if (is_floating(a.dtype))
    op == Scan::Sum ? scan_typed<double, false>(a) : scan_typed<double, true>(a);
  else
    op == Scan::Sum ? scan_typed<int64_t, false>(a) : scan_typed<int64_t, true>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
