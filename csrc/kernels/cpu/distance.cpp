// distance.cpp -- distances of every vector of one batch to every vector of another.
//
// Parallel over the first batch's vectors; sums in lanes of the input's type, four at a time.
#include "kernels/distance.h"

#include "core/parallel.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// term(|d|) is added up, or (kMax) the largest taken.
template <class T, bool kMax, class F>
PYNN_INLINE T fold_difference(const T* a, const T* b, int64_t n, F term) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  const auto join = [](V s, V t) { return kMax ? maximum(s, t) : s + t; };
  V s0(T(0)), s1(T(0));
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    s0 = join(s0, term(abs(V::load(a + i) - V::load(b + i))));
    s1 = join(s1, term(abs(V::load(a + i + L) - V::load(b + i + L))));
  }
  for (; i < n; i += L) {
    const V d = abs(V::load(a + i, n - i) - V::load(b + i, n - i));
    // Lanes past the end must add nothing: 0^p is 0, but for p = 0, which counts d != 0.
    s0 = join(s0, term(d));
  }
  const V s = join(s0, s1);
  if constexpr (!kMax) return reduce_add(s);
  T best = s[0];
  for (int k = 1; k < L; ++k) best = s[k] > best || s[k] != s[k] ? s[k] : best;
  return best;
}

template <class T, bool kMax, class F, class G>
void run(const DistanceArgs& a, F term, G finish) {
  const double ns = static_cast<double>(a.rows2) * (static_cast<double>(a.length) * 0.3 + 5) + 5;
  parallel_for(0, a.batch * a.rows1, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* x1 = static_cast<const T*>(a.x1) + i * a.length;
      const T* x2 = static_cast<const T*>(a.x2) + i / a.rows1 * a.rows2 * a.length;
      T* y = static_cast<T*>(a.y) + i * a.rows2;
      for (int64_t j = 0; j < a.rows2; ++j, x2 += a.length)
        y[j] = finish(fold_difference<T, kMax>(x1, x2, a.length, term));
    }
  });
}

template <class T>
void run_typed(const DistanceArgs& a) {
  using V = Vec<T>;
  const auto same = [](T s) { return s; };
  if (a.p == 2)
    return run<T, false>(a, [](V d) { return d * d; }, [](T s) { return static_cast<T>(__builtin_sqrt(s)); });
  if (a.p == 1) return run<T, false>(a, [](V d) { return d; }, same);
  if (a.p == 0) return run<T, false>(a, [](V d) { return select(d != V(T(0)), V(T(1)), V(T(0))); }, same);
  if (a.p == __builtin_inf()) return run<T, true>(a, [](V d) { return d; }, same);
  const V p(static_cast<T>(a.p));
  const double root = 1 / a.p;
  run<T, false>(a, [p](V d) { return pow(d, p); }, [root](T s) { return static_cast<T>(__builtin_pow(s, root)); });
}

}  // namespace

void distances(const DistanceArgs& a) { a.dtype == DType::Float32 ? run_typed<float>(a) : run_typed<double>(a); }

}  // namespace PYNN_CPU_NAMESPACE
