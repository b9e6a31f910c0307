// softmax.cpp -- softmax and log-softmax over the middle dim of [outer, n, inner].
//
//   y = exp(x - max) / sum(exp(x - max));   dx = (dy - sum(dy * y)) * y
//   log: y = x - max - log(sum(exp(x - max)));  dx = dy - exp(y) * sum(dy)
//
// Parallel over rows (inner == 1) or over outer indices and runs of columns. Sums: lanes of T over blocks, double
// beyond. Half types are converted to float32 and back. A row of -inf, or one with +inf, becomes NaN.
#include "kernels/softmax.h"

#include "core/parallel.h"
#include "kernels/cpu/row_math.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/softmax_columns.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
void softmax_row(T* y, const T* x, int64_t n) {
  using V = Vec<T>;
  const T m = row_top(x, n);  // NaN makes the sum NaN, and so the row
  const V scale(static_cast<T>(1 / store_exp(y, x, n, m)));
  along<T>(n, [=](auto at) { at.store(y, at.load(y) * scale); });
}

// Several rows, whose logarithms are taken together. While exponentials are computed, the next row that is needed comes
// from memory.
constexpr int64_t kGroup = 16, kGroupBytes = 8192;
template <class T>
void log_softmax_rows(T* y, const T* x, int64_t rows, int64_t n) {
  using V = Vec<T>;
  constexpr int64_t line = 64 / sizeof(T);
  const int64_t fit = kGroupBytes / (n * static_cast<int64_t>(sizeof(T))),
                most = max_of(int64_t(1), min_of(kGroup, fit));
  T top[kGroup];
  double sum[kGroup];
  for (int64_t r0 = 0; r0 < rows; r0 += most, x += most * n, y += most * n) {
    const int64_t many = min_of(most, rows - r0);
    for (int64_t r = 0; r < many; ++r) top[r] = row_top(x + r * n, n);
    for (int64_t r = 0; r < many; ++r) {
      if (r0 + r + most < rows)
        for (int64_t i = (r + most) * n; i < (r + most + 1) * n; i += line) {
          __builtin_prefetch(x + i, 0, 2);
          __builtin_prefetch(y + i, 1, 2);
        }
      sum[r] = sum_exp(x + r * n, n, top[r]);
    }
    for (int64_t r = 0; r < many; r += VecD::kSize) log(VecD::load(sum + r, many - r)).store(sum + r, many - r);
    for (int64_t r = 0; r < many; ++r) {
      const T* row = x + r * n;
      T* to = y + r * n;
      const V m(top[r]), l(static_cast<T>(sum[r]));
      along<T>(n, [=](auto at) { at.store(to, at.load(row) - m - l); });
    }
  }
}

template <class T>
void backward_row(T* dx, const T* dy, const T* y, int64_t n, bool log) {
  using V = Vec<T>;
  if (log) {
    const V s(static_cast<T>(row_sum(dy, n)));
    along<T>(n, [=](auto at) { at.store(dx, fnma(exp(at.load(y)), s, at.load(dy))); });
  } else {
    const V s(static_cast<T>(row_dot(dy, y, n)));
    along<T>(n, [=](auto at) { at.store(dx, (at.load(dy) - s) * at.load(y)); });
  }
}

// b is nullptr in the forward.
template <class T>
void rows_of(T* out, const T* a, const T* b, int64_t rows, int64_t n, bool log) {
  if (!b && log) return log_softmax_rows(out, a, rows, n);
  for (int64_t r = 0; r < rows; ++r)
    b ? backward_row(out + r * n, a + r * n, b + r * n, n, log) : softmax_row(out + r * n, a + r * n, n);
}
template <class T>
void softmax_typed(const SoftmaxArgs& s, const void* second) {
  T* out = static_cast<T*>(s.out);
  const T *a = static_cast<const T*>(s.a), *b = static_cast<const T*>(second);
  if (s.inner == 1) {
    parallel_for(0, s.outer, grain_for(static_cast<double>(s.n) + 10), [&](int64_t begin, int64_t end) {
      const int64_t at = begin * s.n;
      rows_of(out + at, a + at, b ? b + at : nullptr, end - begin, s.n, s.log);
    });
    return;
  }
  const Columns<T> all{out, a, b, s.log};
  // Columns beyond a share of L2, or too few to share out, where there are many elements.
  const int64_t runs = ceil_div(s.inner, kRun),
                run_bytes = s.n * min_of(kRun, s.inner) * static_cast<int64_t>(sizeof(T));
  if (run_bytes > 128 << 10 || (s.outer * runs < 8 && s.n * s.inner >= 1 << 16))
    return softmax_tiles(all, s.outer, s.n, s.inner);
  const double ns = 1.5 * static_cast<double>(s.n) * static_cast<double>(min_of(kRun, s.inner));
  parallel_for(0, s.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % runs * kRun;
      all.at(i / runs * s.n * s.inner + c).whole(s.n, s.inner, min_of(kRun, s.inner - c));
    }
  });
}

// Half types: one row, or one run of columns, at a time in float32.
void softmax_half(const SoftmaxArgs& s, const void* second) {
  const Convert to_float = converter(DType::Float32, s.dtype), from_float = converter(s.dtype, DType::Float32);
  const int64_t width = min_of(kRun, s.inner), runs = ceil_div(s.inner, width);
  const auto bytes = [&](const void* p, int64_t at) { return static_cast<const char*>(p) + 2 * at; };
  const double ns = 2 * static_cast<double>(s.n) * static_cast<double>(width) + 10;
  parallel_for(0, s.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
    const Scratch<float> a(s.n * width), b(second ? s.n * width : 0);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % runs * width, at = i / runs * s.n * s.inner + c, w = min_of(width, s.inner - c);
      to_float(a.get(), {w, 1}, bytes(s.a, at), {s.inner, 1}, s.n, w);
      if (second) to_float(b.get(), {w, 1}, bytes(second, at), {s.inner, 1}, s.n, w);
      const float* y = second ? b.get() : nullptr;
      if (s.inner == 1)
        rows_of<float>(a.get(), a.get(), y, 1, s.n, s.log);
      else
        Columns<float>{a.get(), a.get(), y, s.log}.whole(s.n, w, w);
      from_float(const_cast<char*>(bytes(s.out, at)), {s.inner, 1}, a.get(), {w, 1}, s.n, w);
    }
  });
}

void softmax(const SoftmaxArgs& s, const void* second) {
  if (s.outer == 0 || s.n == 0 || s.inner == 0) return;
  switch (s.dtype) {
    case DType::Float32:
      return softmax_typed<float>(s, second);
    case DType::Float64:
      return softmax_typed<double>(s, second);
    case DType::Float16:
    case DType::BFloat16:
      return softmax_half(s, second);
    default:
      no_loop("softmax", s.dtype);
  }
}

}  // namespace

void softmax_forward(const SoftmaxArgs& s) { softmax(s, nullptr); }
void softmax_backward(const SoftmaxArgs& s) { softmax(s, s.b); }

}  // namespace PYNN_CPU_NAMESPACE
