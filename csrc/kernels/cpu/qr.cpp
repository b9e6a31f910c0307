// qr.cpp -- A = Q R, Q = I - V T V^T, recursively: the left half of the columns; its reflections on the right half, by
// products; that half below; then T's corner, -T1 (V1^T V2) T2. Leaves of kPanel columns are copied, transposed, to
// where rows fill registers, and reflected one column after the other.
//
// Parallel over the batch, and in the products of large matrices. Sums of float32 are of its registers, norms of
// doubles.
#include "kernels/qr.h"

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"
#include "kernels/gemm.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kPanel = 16;

template <class T>
struct Matrix {
  T* x;
  int64_t rs;
  bool turned = false;  // its transpose is meant
  Matrix at(int64_t r, int64_t c) const { return {x + r * rs + c, rs}; }
  Matrix t() const { return {x, rs, true}; }
};

// c [m, n] = alpha a b + beta c.
template <class T>
void product(Matrix<T> c, Matrix<T> a, Matrix<T> b, int64_t m, int64_t n, int64_t k, double alpha, double beta) {
  GemmArgs g{m, n, k, a.x, b.x, c.x, a.turned ? 1 : a.rs, a.turned ? a.rs : 1, b.rs, 1, c.rs, 1, DTypeOf<T>::value};
  g.alpha = alpha, g.beta = beta;
  gemm(g);
}

// ---- Leaves: columns next to each other, padded with a register of 0 and more

template <class T>
T dot(const T* a, const T* b, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::kSize, U = 4;
  V acc[U] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
  int64_t i = 0;
  for (; i + U * L <= n; i += U * L)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) acc[u] = fma(V::load(a + i + u * L), V::load(b + i + u * L), acc[u]);
  for (; i < n; i += L) acc[0] = fma(V::load(a + i), V::load(b + i), acc[0]);
  return reduce_add((acc[0] + acc[1]) + (acc[2] + acc[3]));
}
// The root of a sum of squares, which neither over- nor underflows.
template <class T>
double norm(const T* x, int64_t n) {
  constexpr double least = sizeof(T) == 4 ? 1e-24 : 1e-280;
  const double squares = static_cast<double>(dot(x, x, n));
  if (squares > least && squares < 1 / least) return __builtin_sqrt(squares);
  double largest = 0, sum = 0;
  for (int64_t i = 0; i < n; ++i) largest = max_of(largest, __builtin_fabs(static_cast<double>(x[i])));
  if (largest == 0 || !(largest - largest == 0)) return squares;  // 0, infinite, or NaN
  for (int64_t i = 0; i < n; ++i) sum += (x[i] / largest) * (x[i] / largest);
  return largest * __builtin_sqrt(sum);
}

// Column j becomes the vector of the reflection that leaves r[j] of it, whose factor is returned.
template <class T>
T reflect(T* column, int64_t j, int64_t m, T& beta) {
  const T alpha = column[j];
  const double rest = norm(column + j + 1, m - j - 1);
  beta = alpha;
  column[j] = 1;
  if (rest == 0) return 0;
  const double all = __builtin_hypot(static_cast<double>(alpha), rest);
  beta = static_cast<T>(alpha > 0 ? -all : all);
  const T scale = alpha - beta;
  for (int64_t i = j + 1; i < m; i += Vec<T>::kSize) (Vec<T>::load(column + i) / Vec<T>(scale)).store(column + i);
  return -scale / beta;
}

template <class T>
void qr_leaf(Matrix<T> a, Matrix<T> r, Matrix<T> t, int64_t m, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  const int64_t rows = round_up(m, L), stride = rows + L;
  const ShortScratch<T, 1024> room(n * stride);
  T* const x = room.get();
  const Convert copy = converter(DTypeOf<T>::value, DTypeOf<T>::value);
  for (int64_t c = 0; c < n; ++c)
    for (int64_t i = m; i < stride; ++i) x[c * stride + i] = 0;
  copy(x, {stride, 1}, a.x, {1, a.rs}, n, m);
  for (int64_t j = 0; j < n; ++j) {
    T* const v = x + j * stride;
    const int64_t from = j / L * L;  // 0 up to row j
    for (int64_t i = 0; i < j; ++i) r.x[i * r.rs + j] = v[i], v[i] = 0;
    const T tau = reflect(v, j, m, r.x[j * r.rs + j]);
    for (int64_t c = j + 1; c < n; ++c) {
      T* const column = x + c * stride;
      const V f(tau * dot(v + from, column + from, rows - from));
      for (int64_t i = from; i < rows; i += L) fnma(f, V::load(v + i), V::load(column + i)).store(column + i);
    }
    T between[kPanel];
    for (int64_t i = 0; i < j; ++i) between[i] = dot(x + i * stride + from, v + from, rows - from);
    for (int64_t i = 0; i < j; ++i) {
      T sum(0);
      for (int64_t k = i; k < j; ++k) sum += t.x[i * t.rs + k] * between[k];
      t.x[i * t.rs + j] = -tau * sum;
    }
    t.x[j * t.rs + j] = tau;
  }
  copy(a.x, {a.rs, 1}, x, {1, stride}, m, n);
}

// work: room for n * n elements.
template <class T>
void qr(Matrix<T> a, Matrix<T> r, Matrix<T> t, int64_t m, int64_t n, T* work) {
  if (n <= kPanel) return qr_leaf(a, r, t, m, n);
  const int64_t left = round_up(n / 2, kPanel), right = n - left, below = m - left;
  const Matrix<T> beside = a.at(0, left), v2 = a.at(left, left), t2 = t.at(left, left);
  const Matrix<T> w{work, right}, z{work + left * right, right};
  qr(a, r, t, m, left, work);
  product(w, a.t(), beside, left, right, m, 1, 0);
  product(z, t.t(), w, left, right, left, 1, 0);
  product(beside, a, z, m, right, left, -1, 1);
  for (int64_t i = 0; i < left; ++i)
    for (int64_t c = 0; c < right; ++c) {
      r.x[i * r.rs + left + c] = beside.x[i * a.rs + c];
      beside.x[i * a.rs + c] = 0;
    }
  qr(v2, r.at(left, left), t2, below, right, work);
  product(w, a.at(left, 0).t(), v2, left, right, below, 1, 0);
  product(z, w, t2, left, right, right, 1, 0);
  product(t.at(0, left), t, z, left, right, left, -1, 0);
}

template <class T>
void qr_batch(const QrArgs& g) {
  const double ns = 500 + 0.1 * static_cast<double>(g.m * g.n) * static_cast<double>(g.n);
  parallel_for(0, g.batch, grain_for(ns), [&](int64_t begin, int64_t end) {
    const Scratch<T> work(g.n * g.n);
    for (int64_t i = begin; i < end; ++i) {
      T *const r = static_cast<T*>(g.r) + i * g.n * g.n, *const t = static_cast<T*>(g.t) + i * g.n * g.n;
      qr<T>({static_cast<T*>(g.a) + i * g.m * g.n, g.n}, {r, g.n}, {t, g.n}, g.m, g.n, work.get());
    }
  });
}

}  // namespace

void qr_factor(const QrArgs& g) {
  if (g.dtype == DType::Float32) return qr_batch<float>(g);
  if (g.dtype == DType::Float64) return qr_batch<double>(g);
  no_loop("linalg_qr", g.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
