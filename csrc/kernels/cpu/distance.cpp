// distance.cpp -- distances of every vector of one batch to every vector of another.
//
// Parallel over the first batch's vectors. Short ones meet the second's a register at a time, one of each lane; long
// ones one by one, so that a sum is spread over the lanes.
#include "kernels/distance.h"

#include "core/parallel.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// more(s, d) adds the difference d to the sum s, or (kMax) the larger of both is taken.
template <class T, bool kMax, class F>
PYNN_INLINE T fold_difference(const T* a, const T* b, int64_t n, F more) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  V s0(T(0)), s1(T(0));
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    s0 = more(s0, V::load(a + i) - V::load(b + i));
    s1 = more(s1, V::load(a + i + L) - V::load(b + i + L));
  }
  for (; i < n; i += L) s0 = more(s0, V::load(a + i, n - i) - V::load(b + i, n - i));  // lanes past the end add nothing
  const V s = kMax ? maximum(s0, s1) : s0 + s1;
  if constexpr (!kMax) return reduce_add(s);
  T best = s[0];
  for (int k = 1; k < L; ++k) best = s[k] > best || s[k] != s[k] ? s[k] : best;
  return best;
}

// Elements of a vector that goes into a lane; more than kFewElements only if enough others meet it there.
constexpr int64_t kShort = 1024, kFewElements = 32, kEnough = 32;

// R vectors of x1 and, transposed, N registers of those of x2: n of them.
template <class T, int R, int N, class F, class G>
PYNN_INLINE void distances_to_lanes(const T* x1, const T* x2, int64_t length, T* y, int64_t y_step, int64_t n, F more,
                                    G finish) {
  using V = Vec<T>;
  constexpr int W = V::kSize;
  V s[R][N];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < N; ++v) s[r][v] = V(T(0));
  for (int64_t k = 0; k < length; ++k) {
    V b[N];
#pragma GCC unroll 2
    for (int v = 0; v < N; ++v) b[v] = V::load(x2 + (k * N + v) * W);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const V a(x1[r * length + k]);
#pragma GCC unroll 2
      for (int v = 0; v < N; ++v) s[r][v] = more(s[r][v], a - b[v]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < N; ++v)
      if (n > v * W) finish(s[r][v]).store(y + r * y_step + v * W, n - v * W);
}

// `rows` vectors of x1 and n of x2, these transposed, N registers wide.
template <class T, int N, class F, class G>
void distances_to_block(const DistanceArgs& a, const T* x1, int64_t rows, const T* x2, int64_t n, T* block, T* y,
                        F more, G finish) {
  pack_sliver<T, N * Vec<T>::kSize>(x2, a.length, 1, n, a.length, block);
  for (; rows >= 4; rows -= 4, x1 += 4 * a.length, y += 4 * a.rows2)
    distances_to_lanes<T, 4, N>(x1, block, a.length, y, a.rows2, n, more, finish);
  for (; rows > 0; --rows, x1 += a.length, y += a.rows2)
    distances_to_lanes<T, 1, N>(x1, block, a.length, y, a.rows2, n, more, finish);
}

template <class T, class F, class G>
void run_short(const DistanceArgs& a, F more, G finish) {
  constexpr int64_t W = Vec<T>::kSize;
  const double ns = static_cast<double>(a.rows2 * (a.length + 2)) / 8 + 1;
  // Each task transposes all of x2.
  parallel_for(0, a.batch * a.rows1, max_of(grain_for(ns), kEnough), [&](int64_t begin, int64_t end) {
    const Scratch<T> block(a.length * 2 * W);
    for (int64_t i0 = begin, i1; i0 < end; i0 = i1) {
      const int64_t batch = i0 / a.rows1;
      i1 = min_of(end, (batch + 1) * a.rows1);
      const T *x1 = static_cast<const T*>(a.x1) + i0 * a.length,
              *x2 = static_cast<const T*>(a.x2) + batch * a.rows2 * a.length;
      T* y = static_cast<T*>(a.y) + i0 * a.rows2;
      int64_t j = 0;
      for (; j + W < a.rows2; j += 2 * W)
        distances_to_block<T, 2>(a, x1, i1 - i0, x2 + j * a.length, min_of(2 * W, a.rows2 - j), block.get(), y + j,
                                 more, finish);
      if (j < a.rows2)
        distances_to_block<T, 1>(a, x1, i1 - i0, x2 + j * a.length, a.rows2 - j, block.get(), y + j, more, finish);
    }
  });
}

// finish: of a register of sums.
template <class T, bool kMax, class F, class G>
void run(const DistanceArgs& a, F more, G finish) {
  if (a.length <= (a.rows1 < kEnough ? kFewElements : kShort)) return run_short<T>(a, more, finish);
  const double ns = static_cast<double>(a.rows2) * (static_cast<double>(a.length) * 0.3 + 5) + 5;
  parallel_for(0, a.batch * a.rows1, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* x1 = static_cast<const T*>(a.x1) + i * a.length;
      const T* x2 = static_cast<const T*>(a.x2) + i / a.rows1 * a.rows2 * a.length;
      T* y = static_cast<T*>(a.y) + i * a.rows2;
      for (int64_t j = 0; j < a.rows2; ++j, x2 += a.length)
        y[j] = finish(Vec<T>(fold_difference<T, kMax>(x1, x2, a.length, more)))[0];
    }
  });
}

template <class T>
void run_typed(const DistanceArgs& a) {
  using V = Vec<T>;
  const auto same = [](V s) { return s; };
  if (a.p == 2) return run<T, false>(a, [](V s, V d) { return fma(d, d, s); }, [](V s) { return sqrt(s); });
  if (a.p == 1) return run<T, false>(a, [](V s, V d) { return s + abs(d); }, same);
  if (a.p == 0) return run<T, false>(a, [](V s, V d) { return s + select(d != V(T(0)), V(T(1)), V(T(0))); }, same);
  if (a.p == __builtin_inf()) return run<T, true>(a, [](V s, V d) { return maximum(s, abs(d)); }, same);
  const V p(static_cast<T>(a.p)), root(static_cast<T>(1 / a.p));
  run<T, false>(a, [p](V s, V d) { return s + pow(abs(d), p); }, [root](V s) { return pow(s, root); });
}

}  // namespace

void distances(const DistanceArgs& a) { a.dtype == DType::Float32 ? run_typed<float>(a) : run_typed<double>(a); }

}  // namespace PYNN_CPU_NAMESPACE
