// complex.cpp -- the elementwise loops of complex types, and products along a dim.
//
// Sums and products are computed in the type of the parts, everything else in double.
#include "kernels/complex.h"

#include "core/parallel.h"
#include "kernels/cpu/complex_math.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class S>
PYNN_INLINE S parameter(LoopParams p) {
  return cast_parts<S>(Z{p.f[0], p.f[1]});
}

}  // namespace

// |z| of complex64: double holds the squares without overflow. An infinite part wins over NaN.
PYNN_INLINE float magnitude(Complex64 z) {
  const float re = __builtin_fabsf(z.re), im = __builtin_fabsf(z.im), inf = __builtin_inff();
  const double a = static_cast<double>(re), b = static_cast<double>(im);
  const float size = static_cast<float>(__builtin_sqrt(a * a + b * b));
  return re == inf ? inf : im == inf ? inf : size;
}
void angles(Complex64* y, const Complex64* x, int64_t n) {
  constexpr int64_t kBlock = 64;
  constexpr int L = VecF::kSize;
  alignas(PYNN_VEC_BYTES) float re[kBlock], im[kBlock];
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t count = min_of(kBlock, n - i);
    for (int64_t k = 0; k < kBlock; ++k) {
      const Complex64 z = x[i + min_of(k, count - 1)];
      re[k] = z.re, im[k] = z.im;
    }
    for (int64_t k = 0; k < count; k += L) atan2(VecF::load(im + k), VecF::load(re + k)).store(im + k);
    for (int64_t k = 0; k < count; ++k) y[i + k] = {im[k], 0};
  }
}

namespace {

// ---- Division, by way of |b|^2, of W complex numbers in two registers of doubles

constexpr int W = VecD::kSize;
using Lanes = std::make_integer_sequence<int, W>;

template <int... I>
PYNN_INLINE VecD swap_parts(VecD x, std::integer_sequence<int, I...>) {
  return F64(__builtin_shufflevector(x.v, x.v, (I ^ 1)...));
}
template <int... I>
PYNN_INLINE VecD real_parts(VecD low, VecD high, std::integer_sequence<int, I...>) {
  return F64(__builtin_shufflevector(low.v, high.v, 2 * I...));
}
template <int kHigh, int... I>
PYNN_INLINE VecD twice_each(VecD x, std::integer_sequence<int, I...>) {
  return F64(__builtin_shufflevector(x.v, x.v, I / 2 + kHigh * W / 2 ...));
}
PYNN_INLINE void load_pairs(const Complex64* p, VecD& low, VecD& high) { widen(VecF::load(&p->re), low, high); }
PYNN_INLINE void load_pairs(const Complex128* p, VecD& low, VecD& high) {
  low = VecD::load(&p->re), high = VecD::load(&p->re + W);
}
PYNN_INLINE void store_pairs(Complex64* p, VecD low, VecD high) { narrow(low, high).store(&p->re); }
PYNN_INLINE void store_pairs(Complex128* p, VecD low, VecD high) { low.store(&p->re), high.store(&p->re + W); }

// a conj(b)
PYNN_INLINE VecD mul_conj(VecD a, VecD b) {
  const VecD re = a * b, im = a * swap_parts(b, Lanes());
  using I = Vec<int64_t>;
  return select(Mask<double>{((I::iota(0) & I(1)) == I(1)).v}, im - swap_parts(im, Lanes()),
                re + swap_parts(re, Lanes()));
}

// Where a square is 0, or would over- or underflow, one by one.
template <class S>
void divide(S* y, const S* a, int64_t a_step, const S* b, int64_t b_step, int64_t n) {
  constexpr double least = sizeof(S) == 8 ? 1e-100 : 1e-280;
  alignas(PYNN_VEC_BYTES) S same[2][W];
  for (int i = 0; i < W && n > 0; ++i) same[0][i] = *a, same[1][i] = *b;
  if (a_step == 0) a = same[0];
  if (b_step == 0) b = same[1];
  for (int64_t i = 0; i < n; i += W, a += a_step * W, b += b_step * W) {
    if (i + W <= n) {
      VecD a0, a1, b0, b1;
      load_pairs(a, a0, a1), load_pairs(b, b0, b1);
      const VecD s0 = b0 * b0, s1 = b1 * b1;
      const VecD square = real_parts(s0 + swap_parts(s0, Lanes()), s1 + swap_parts(s1, Lanes()), Lanes());
      const VecD by = VecD(1) / square;
      if (all_within(square, least, 1 / least)) {
        store_pairs(y + i, mul_conj(a0, b0) * twice_each<0>(by, Lanes()),
                    mul_conj(a1, b1) * twice_each<1>(by, Lanes()));
        continue;
      }
    }
    for (int64_t k = 0; k < min_of<int64_t>(W, n - i); ++k)
      y[i + k] = cast_parts<S>(div(wide(a[k * a_step]), wide(b[k * b_step])));
  }
}

}  // namespace

template <Unary op, class S>
bool complex_unary_loop(const LoopArgs& args) {
  each_row<2>(args, [](void* const* at, int64_t n) {
    S* y = static_cast<S*>(at[0]);
    const S* x = static_cast<const S*>(at[1]);
    if constexpr (op == Unary::Angle && std::is_same_v<S, Complex64>) {
      angles(y, x, n);
    } else if constexpr (op == Unary::Abs && std::is_same_v<S, Complex64>) {
      for (int64_t i = 0; i < n; ++i) y[i] = {magnitude(x[i]), 0};
    } else if constexpr (op == Unary::Reciprocal) {
      const S one = {1, 0};
      divide(y, &one, 0, x, 1, n);
    } else if constexpr (yields_bool(op)) {
      for (int64_t i = 0; i < n; ++i) static_cast<bool*>(at[0])[i] = unary<op>(wide(x[i]));
    } else {
      for (int64_t i = 0; i < n; ++i) y[i] = cast_parts<S>(unary<op>(wide(x[i])));
    }
  });
  return true;
}

template <Binary op, class S>
bool complex_binary_loop(const LoopArgs& args) {
  using Out = std::conditional_t<yields_bool(op), bool, S>;
  constexpr bool has_alpha = op == Binary::Add || op == Binary::Sub;
  const S alpha = has_alpha ? parameter<S>(args.p) : S{1, 0};
  const bool plain = alpha.re == 1 && alpha.im == 0;
  const int64_t a_step = args.steps[1], b_step = args.steps[2];
  each_row<3>(args, [&](void* const* at, int64_t n) {
    const S *a = static_cast<const S*>(at[1]), *b = static_cast<const S*>(at[2]);
    Out* y = static_cast<Out*>(at[0]);
    if constexpr (op == Binary::Div && std::is_same_v<S, Complex64>)  // complex128's products could overflow
      divide(y, a, a_step, b, b_step, n);
    else
      for (int64_t i = 0; i < n; ++i) y[i] = binary<op>(a[i * a_step], b[i * b_step], alpha, plain);
  });
  return true;
}

template <Ternary op, class S>
bool complex_ternary_loop(const LoopArgs& args) {
  constexpr bool has_value = op == Ternary::Addcmul || op == Ternary::Addcdiv;
  const S value = has_value ? parameter<S>(args.p) : S{1, 0};
  const int64_t a_step = args.steps[1], b_step = args.steps[2], c_step = args.steps[3];
  each_row<4>(args, [&](void* const* at, int64_t n) {
    const S *a = static_cast<const S*>(at[1]), *b = static_cast<const S*>(at[2]), *c = static_cast<const S*>(at[3]);
    for (int64_t i = 0; i < n; ++i)
      static_cast<S*>(at[0])[i] = ternary<op>(a[i * a_step], b[i * b_step], c[i * c_step], value);
  });
  return true;
}

#define PYNN_OF(kind, Op, op)                                              \
  template bool complex_##kind##_loop<Op::op, Complex64>(const LoopArgs&); \
  template bool complex_##kind##_loop<Op::op, Complex128>(const LoopArgs&);
#define PYNN_UNARY(op) PYNN_OF(unary, Unary, op)
#define PYNN_BINARY(op) PYNN_OF(binary, Binary, op)
#define PYNN_TERNARY(op) PYNN_OF(ternary, Ternary, op)

PYNN_UNARY(Neg)
PYNN_UNARY(Abs)
PYNN_UNARY(Sign)
PYNN_UNARY(Square)
PYNN_UNARY(Sqrt)
PYNN_UNARY(Rsqrt)
PYNN_UNARY(Reciprocal)
PYNN_UNARY(Exp)
PYNN_UNARY(Exp2)
PYNN_UNARY(Expm1)
PYNN_UNARY(Log)
PYNN_UNARY(Log2)
PYNN_UNARY(Log10)
PYNN_UNARY(Log1p)
PYNN_UNARY(Sin)
PYNN_UNARY(Cos)
PYNN_UNARY(Tan)
PYNN_UNARY(Asin)
PYNN_UNARY(Acos)
PYNN_UNARY(Atan)
PYNN_UNARY(Sinh)
PYNN_UNARY(Cosh)
PYNN_UNARY(Tanh)
PYNN_UNARY(Asinh)
PYNN_UNARY(Acosh)
PYNN_UNARY(Atanh)
PYNN_UNARY(Sigmoid)
PYNN_UNARY(Conj)
PYNN_UNARY(Angle)
PYNN_UNARY(LogicalNot)
PYNN_UNARY(IsNan)
PYNN_UNARY(IsInf)
PYNN_UNARY(IsFinite)
PYNN_BINARY(Add)
PYNN_BINARY(Sub)
PYNN_BINARY(Mul)
PYNN_BINARY(Div)
PYNN_BINARY(Pow)
PYNN_BINARY(Eq)
PYNN_BINARY(Ne)
PYNN_BINARY(LogicalAnd)
PYNN_BINARY(LogicalOr)
PYNN_BINARY(LogicalXor)
PYNN_TERNARY(Where)
PYNN_TERNARY(Addcmul)
PYNN_TERNARY(Addcdiv)
PYNN_TERNARY(Lerp)

// ---- Products along the middle of [outer, n, inner], accumulated in double.

namespace {

template <class S, bool running>
void products(const ReduceArgs& a) {
  const S* x = static_cast<const S*>(a.x);
  S* y = static_cast<S*>(a.y);
  const double ns = 2 * static_cast<double>(a.nreduce) + 5;
  parallel_for(0, a.outer * a.inner, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t start = line / a.inner * a.nreduce * a.inner + line % a.inner;
      Z total = {1, 0};
      for (int64_t r = 0, at = start; r < a.nreduce; ++r, at += a.inner) {
        total = mul(total, wide(x[at]));
        if constexpr (running) y[at] = cast_parts<S>(total);
      }
      if constexpr (!running) y[line] = cast_parts<S>(total);
    }
  });
}

}  // namespace

void complex_prod(const ReduceArgs& a) {
  a.dtype == DType::Complex64 ? products<Complex64, false>(a) : products<Complex128, false>(a);
}
void complex_cumprod(const ReduceArgs& a) {
  a.dtype == DType::Complex64 ? products<Complex64, true>(a) : products<Complex128, true>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
