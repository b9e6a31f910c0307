// factor.cpp -- P A = L U and A = U^T U of row-major matrices, recursively, so that nearly all work is in products:
//
//   LU         the left half of the columns; its exchanges and its triangle on the right half; a product for what is
//              below; that part. Leaves of kPanel columns are copied, transposed, to where rows fill registers.
//   Cholesky   the first half of the rows and columns; its triangle on what is right of it; that times its own
//              transpose for the rest, in strips that leave out most of the lower triangle; the rest.
//
// Parallel over the batch, and in the products and systems of large matrices. Accumulates in the type of the operands.
#include "kernels/factor.h"

#include "core/parallel.h"
#include "core/parallel_here.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/tiles.h"
#include "kernels/cpu/vec.h"
#include "kernels/gemm.h"
#include "kernels/triangular.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kPanel = 16;   // columns of an LU leaf
constexpr int64_t kSquare = 32;  // rows of a Cholesky leaf
// Multiplications that one thread does alone: a matrix goes from core to core slowly.
constexpr int64_t kAlone = 1 << 27;
constexpr int64_t kSystem = 64;  // rows of a triangular system that its kernel takes at once
constexpr int64_t kStrip = 256;  // columns of a strip, about

// c [m, n] -= a [m, k] b [k, n], all but a row-major with rows `rs` apart.
template <class T>
void subtract_product(T* c, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t rs, int64_t m, int64_t n,
                      int64_t k) {
  GemmArgs g{m, n, k, a, b, c, a_rs, a_cs, rs, 1, rs, 1, DTypeOf<T>::value};
  g.alpha = -1, g.beta = 1;
  gemm(g);
}
// x [n, m] = a^-1 x, a lower triangular.
template <class T>
void solve(const T* a, int64_t a_rs, int64_t a_cs, T* x, int64_t rs, int64_t n, int64_t m, bool unit) {
  if (n <= kSystem) return solve_lower({a, x, n, m, a_rs, a_cs, rs, 1, 0, 0, unit, DTypeOf<T>::value});
  const int64_t half = round_up(n / 2, kPanel);
  T* const rest = x + half * rs;
  solve(a, a_rs, a_cs, x, rs, half, m, unit);
  subtract_product(rest, a + half * a_rs, a_rs, a_cs, x, rs, n - half, m, half);
  solve(a + half * (a_rs + a_cs), a_rs, a_cs, rest, rs, n - half, m, unit);
}

// f(), with all that is parallel in it inline where it is `small`.
template <class F>
int32_t alone_if(bool small, F f) {
  if (!small) return f();
  int32_t result = 0;
  run_here([&] { result = f(); });
  return result;
}

// f(first, count) for strips of n columns: what one thread did to a strip lies in its cache when it comes to it again.
// A column takes `ns`.
template <class F>
void in_strips(int64_t n, double ns, F f) {
  const int64_t strip = round_up(even_part(n, kStrip), kPanel);
  parallel_for(0, ceil_div(n, strip), grain_for(ns * static_cast<double>(strip)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i * strip, min_of(strip, n - i * strip));
  });
}

// ---- LU

// Rows i and pivots[i] - 1 of x change places, of `bytes` each, `stride` apart.
void exchange(char* x, int64_t stride, int64_t bytes, const int32_t* pivots, int64_t steps, bool backwards) {
  for (int64_t s = 0; s < steps; ++s) {
    const int64_t i = backwards ? steps - 1 - s : s, p = pivots[i] - 1;
    if (p == i) continue;
    char *a = x + i * stride, *b = x + p * stride;
    int64_t k = 0;
    for (; k + 32 <= bytes; k += 32) {
      char u[32], v[32];
      __builtin_memcpy(u, a + k, 32), __builtin_memcpy(v, b + k, 32);
      __builtin_memcpy(a + k, v, 32), __builtin_memcpy(b + k, u, 32);
    }
    for (; k < bytes; ++k) {
      const char u = a[k];
      a[k] = b[k], b[k] = u;
    }
  }
}
template <class T>
void exchange(T* x, int64_t rs, int64_t n, const int32_t* pivots, int64_t steps) {
  constexpr int64_t size = sizeof(T);
  exchange(reinterpret_cast<char*>(x), rs * size, n * size, pivots, steps, false);
}

// Columns of a leaf next to each other, padded to whole registers. Column j takes what those before it do to it, then
// its largest element, the first of them, becomes the pivot.
template <class T>
struct Panel {
  using V = Vec<T>;
  static constexpr int L = V::kSize;
  T* x;
  int64_t m, n, stride;

  // U registers of column j from row `r` on; returns the magnitudes, or 0 above row j and for NaN.
  template <int U>
  PYNN_INLINE V update(int64_t j, int64_t r) const {
    T* const column = x + j * stride;
    V acc[U], largest(T(0));
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) acc[u] = V::load(column + r + u * L);
    for (int64_t k = 0; k < min_of(j, m); ++k) {
      const V f(column[k]);
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) acc[u] = fnma(f, V::load(x + k * stride + r + u * L), acc[u]);
    }
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      const auto above = V::iota(static_cast<T>(r + u * L)) < V(static_cast<T>(j));
      acc[u] = select(above, V::load(column + r + u * L), acc[u]);
      acc[u].store(column + r + u * L);
      largest = max(select(above, V(T(0)), abs(acc[u])), largest);
    }
    return largest;
  }
  int64_t pivot_of(int64_t j) const {
    const int64_t rows = round_up(m, L);
    T* const column = x + j * stride;
    for (int64_t k = 0; k < min_of(j, m); ++k)  // the part of U above
      for (int64_t i = k + 1; i < min_of(j, m); ++i) column[i] -= x[k * stride + i] * column[k];
    if (j >= m) return j;
    V largest(T(0));
    int64_t r = j / L * L;
    for (; r + 4 * L <= rows; r += 4 * L) largest = max(largest, update<4>(j, r));
    for (; r < rows; r += L) largest = max(largest, update<1>(j, r));
    const T most = reduce_max(largest);
    if (most > 0)
      for (int64_t i = j; i < m; ++i)
        if (column[i] == most || column[i] == -most) return i;
    return j;
  }
  // Returns the first zero on the diagonal, from 1, or 0.
  int32_t factor(int32_t* pivots) const {
    int32_t zero = 0;
    for (int64_t j = 0; j < n; ++j) {
      const int64_t p = pivot_of(j);
      if (j >= m) continue;
      pivots[j] = static_cast<int32_t>(p + 1);
      for (int64_t c = 0; p != j && c < n; ++c) {
        const T u = x[c * stride + j];
        x[c * stride + j] = x[c * stride + p], x[c * stride + p] = u;
      }
      T* const column = x + j * stride;
      const T pivot = column[j];
      if (pivot == 0) {
        if (!zero) zero = static_cast<int32_t>(j + 1);
        continue;
      }
      for (int64_t r = j / L * L; r < m; r += L) {
        const V v = V::load(column + r);
        select(V::iota(static_cast<T>(r)) <= V(static_cast<T>(j)), v, v / V(pivot)).store(column + r);
      }
    }
    return zero;
  }
};

template <class T>
int32_t lu_leaf(T* a, int64_t rs, int64_t m, int64_t n, int32_t* pivots) {
  constexpr int L = Vec<T>::kSize;
  const int64_t stride = round_up(m, L) + L;  // lines of neighbours in other sets
  const ShortScratch<T, 1024> room(n * stride);
  const Panel<T> panel{room.get(), m, n, stride};
  const Convert copy = converter(DTypeOf<T>::value, DTypeOf<T>::value);
  for (int64_t c = 0; c < n; ++c)
    for (int64_t r = m; r < round_up(m, L); ++r) panel.x[c * stride + r] = 0;
  copy(panel.x, {stride, 1}, a, {1, rs}, n, m);
  const int32_t zero = panel.factor(pivots);
  copy(a, {rs, 1}, panel.x, {1, stride}, m, n);
  return zero;
}

template <class T>
int32_t lu(T* a, int64_t rs, int64_t m, int64_t n, int32_t* pivots);
template <class T>
int32_t lu_halves(T* a, int64_t rs, int64_t m, int64_t n, int32_t* pivots) {
  const int64_t left = round_up(max_of(min_of(m, n) / 2, int64_t(1)), kPanel), right = n - left;
  const int64_t steps = min_of(m, left), below = m - steps;
  T *const beside = a + left, *const under = a + steps * rs, *const rest = under + left;
  int32_t zero = lu(a, rs, m, left, pivots);
  in_strips(right, 0.02 * static_cast<double>(m * steps), [&](int64_t c, int64_t count) {
    exchange(beside + c, rs, count, pivots, steps);
    solve(a, rs, 1, beside + c, rs, steps, count, true);
    subtract_product(rest + c, under, rs, 1, beside + c, rs, below, count, steps);
  });
  if (!below) return zero;
  const int32_t later = lu(rest, rs, below, right, pivots + steps);
  if (later && !zero) zero = static_cast<int32_t>(steps) + later;
  const int64_t more = min_of(below, right);
  in_strips(left, static_cast<double>(more),
            [&](int64_t c, int64_t count) { exchange(under + c, rs, count, pivots + steps, more); });
  for (int64_t i = 0; i < more; ++i) pivots[steps + i] += static_cast<int32_t>(steps);
  return zero;
}

template <class T>
int32_t lu(T* a, int64_t rs, int64_t m, int64_t n, int32_t* pivots) {
  if (n <= kPanel) return lu_leaf(a, rs, m, n, pivots);
  return alone_if(m * n * n < kAlone, [&] { return lu_halves(a, rs, m, n, pivots); });
}

// ---- Cholesky

template <class T>
int32_t cholesky_leaf(T* a, int64_t rs, int64_t n) {
  using V = Vec<T>;
  for (int64_t j = 0; j < n; ++j) {
    T* const row = a + j * rs;
    T pivot(0);
    for (int64_t c = j; c < n; c += V::kSize) {
      V acc = V::load(row + c, n - c);
      for (int64_t k = 0; k < j; ++k) acc = fnma(V(a[k * rs + j]), V::load(a + k * rs + c, n - c), acc);
      if (c == j) pivot = acc[0];
      if (!(pivot > 0)) return static_cast<int32_t>(j + 1);
      (acc / sqrt(V(pivot))).store(row + c, n - c);
    }
  }
  return 0;
}

template <class T>
int32_t cholesky(T* a, int64_t rs, int64_t n);
template <class T>
int32_t cholesky_halves(T* a, int64_t rs, int64_t n) {
  const int64_t half = round_up(n / 2, kSquare), left = n - half;
  T *const beside = a + half, *const rest = beside + half * rs;
  if (const int32_t bad = cholesky(a, rs, half)) return bad;
  const double ns = 0.02 * static_cast<double>(half * half);
  in_strips(left, ns, [&](int64_t c, int64_t count) { solve(a, 1, rs, beside + c, rs, half, count, false); });
  in_strips(left, ns, [&](int64_t c, int64_t count) {
    subtract_product(rest + c, beside, 1, rs, beside + c, rs, c + count, count, half);
  });
  const int32_t bad = cholesky(rest, rs, left);
  return bad ? static_cast<int32_t>(half) + bad : 0;
}

template <class T>
int32_t cholesky(T* a, int64_t rs, int64_t n) {
  if (n <= kSquare) return cholesky_leaf(a, rs, n);
  return alone_if(n * n * n < kAlone / 4, [&] { return cholesky_halves(a, rs, n); });
}

template <class T>
void lu_batch(const FactorArgs& g) {
  const int64_t steps = min_of(g.m, g.n);
  const double ns = 200 + 0.1 * static_cast<double>(g.m * g.n) * static_cast<double>(steps);
  parallel_for(0, g.batch, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      g.info[i] = steps ? lu(static_cast<T*>(g.a) + i * g.m * g.n, g.n, g.m, g.n, g.pivots + i * steps) : 0;
  });
}
template <class T>
void cholesky_batch(const FactorArgs& g) {
  const double ns = 200 + 0.05 * static_cast<double>(g.n * g.n) * static_cast<double>(g.n);
  parallel_for(0, g.batch, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* const a = static_cast<T*>(g.a) + i * g.n * g.n;
      g.info[i] = cholesky(a, g.n, g.n);
      for (int64_t r = 1; r < g.n; ++r) __builtin_memset(a + r * g.n, 0, static_cast<size_t>(r) * sizeof(T));
    }
  });
}

}  // namespace

void lu_factor(const FactorArgs& g) {
  if (g.dtype == DType::Float32) return lu_batch<float>(g);
  if (g.dtype == DType::Float64) return lu_batch<double>(g);
  no_loop("linalg_lu_factor", g.dtype);
}
void cholesky_factor(const FactorArgs& g) {
  if (g.dtype == DType::Float32) return cholesky_batch<float>(g);
  if (g.dtype == DType::Float64) return cholesky_batch<double>(g);
  no_loop("linalg_cholesky", g.dtype);
}
void exchange_rows(void* x, int64_t m, int64_t n, int64_t size, int64_t batch, const int32_t* pivots, int64_t steps,
                   bool backwards) {
  const double ns = 10 + 0.1 * static_cast<double>(n * size * steps);
  parallel_for(0, batch, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      exchange(static_cast<char*>(x) + b * m * n * size, n * size, n * size, pivots + b * steps, steps, backwards);
  });
}

}  // namespace PYNN_CPU_NAMESPACE
