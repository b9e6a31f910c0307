// attention.cpp -- masked softmax of attention scores, one pass over each row while it is in cache. Columns that the
// causal mask hides are neither read nor computed. Parallel over rows.
#include "kernels/attention.h"

#include "core/parallel.h"
#include "kernels/cpu/row_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
const T* mask_row(const MaskedSoftmaxArgs& a, int64_t matrix, int64_t row) {
  int64_t at = row * a.row_stride;
  for (int d = a.dims - 1; d >= 0; --d) {
    at += matrix % a.sizes[d] * a.strides[d];
    matrix /= a.sizes[d];
  }
  return static_cast<const T*>(a.mask) + at;
}

// y = scale x + mask
template <class T>
void score(T* y, const T* x, const T* mask, int64_t step, T scale, int64_t n) {
  using V = Vec<T>;
  const V s(scale);
  for (int64_t i = 0; i < n; i += V::kSize) {
    V v = V::load(x + i, n - i) * s;
    if (mask) v += step ? V::load(mask + i, n - i) : V(*mask);
    v.store(y + i, n - i);
  }
}

template <class T>
void run(const MaskedSoftmaxArgs& a) {
  using V = Vec<T>;
  constexpr T kLowest = -__builtin_huge_val();
  parallel_for(0, a.count * a.rows, grain_for(static_cast<double>(a.n) + 20), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = static_cast<const T*>(a.x) + r * a.n;
      T* y = static_cast<T*>(a.y) + r * a.n;
      const int64_t row = r % a.rows, n = a.causal ? min_of(a.n, row + 1) : a.n;
      score(y, x, a.mask ? mask_row<T>(a, r / a.rows, row) : nullptr, a.column_stride, static_cast<T>(a.scale), n);
      const T top = row_max(y, n);
      const bool seen = top != kLowest;
      const V total(seen ? static_cast<T>(store_exp(y, y, n, top)) : T(1));
      for (int64_t i = 0; i < n; i += V::kSize) (seen ? V::load(y + i, n - i) / total : V(T(0))).store(y + i, n - i);
      for (int64_t i = n; i < a.n; i += V::kSize) V(T(0)).store(y + i, a.n - i);
    }
  });
}

}  // namespace

void masked_softmax(const MaskedSoftmaxArgs& a) {
  if (a.dtype == DType::Float32) return run<float>(a);
  if (a.dtype == DType::Float64) return run<double>(a);
  no_loop("masked_softmax", a.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
