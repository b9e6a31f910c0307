// margin_loss.cpp -- the formula is that of margin_loss.h. Parallel over rows; registers run along the classes.
#include "kernels/margin_loss.h"

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// other[j] is 1, and 0 where class j is a target.
template <class T>
void row_loss(const MarginLossArgs& a, int64_t r, T* other) {
  using V = Vec<T>;
  const int64_t n = a.classes;
  const T* x = static_cast<const T*>(a.x) + r * n;
  const int64_t* target = a.target + r * a.width;
  T* slope = a.slope ? static_cast<T*>(a.slope) + r * n : nullptr;
  int64_t targets = 0;
  for (int64_t j = 0; j < n; ++j) other[j] = 1;
  for (; targets < a.width && target[targets] >= 0; ++targets) other[target[targets]] = 0;
  const V zero(T(0)), by(T(1) / static_cast<T>(n));
  for (int64_t j = 0; slope && j < n; ++j) slope[j] = 0;
  double loss = 0;
  for (int64_t k = 0; k < targets; ++k) {
    const T* xt = x + target[k];
    const V least(static_cast<T>(a.margin) - *xt);
    V sum = zero, count = zero;
    for (int64_t j = 0; j < n; j += V::kSize) {
      const V over = least + V::load(x + j, n - j);
      const Mask<T> counts = V::load(other + j, n - j) != zero;
      sum += select(counts, max(zero, over), zero);
      if (!slope) continue;
      const V on = select(counts & (over > zero), by, zero);
      count += on;
      (V::load(slope + j, n - j) + on).store(slope + j, n - j);
    }
    loss += static_cast<double>(reduce_add(sum));
    if (slope) slope[target[k]] -= reduce_add(count);
  }
  static_cast<T*>(a.loss)[r] = static_cast<T>(loss / static_cast<double>(n));
}

template <class T>
void rows(const MarginLossArgs& a) {
  const double ns = 0.2 * static_cast<double>(a.classes + 8) * static_cast<double>(a.width + 1);
  parallel_for(0, a.rows, grain_for(ns), [&](int64_t begin, int64_t end) {
    const ShortScratch<T, 256> other(a.classes);
    for (int64_t r = begin; r < end; ++r) row_loss(a, r, other.get());
  });
}

}  // namespace

bool margin_loss(const MarginLossArgs& a, bool ends) {
  for (int64_t i = 0; i < a.rows * a.width; ++i)
    if (a.target[i] < (ends ? -1 : 0) || a.target[i] >= a.classes) return false;
  a.dtype == DType::Float64 ? rows<double>(a) : rows<float>(a);
  return true;
}

}  // namespace PYNN_CPU_NAMESPACE
