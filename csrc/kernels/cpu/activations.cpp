// activations.cpp -- activation functions of neural networks, and their derivatives times a gradient g.
//
//   sigmoid(x) = 1 / (1 + exp(-x))                 d = y (1 - y)            of the result y
//   tanh(x)                                        d = 1 - y^2              of the result y
//   silu(x) = x s, s = sigmoid(x)                  d = s (1 + x (1 - s))
//   mish(x) = x t, t = tanh(log(1 + exp(x))) = n / (n + 2), n = e (e + 2), e = exp(x)
//                                                  d = t + 4 x e (1 + e) / (n + 2)^2
//   gelu(x) = x P, P = (1 + erf(x / sqrt 2)) / 2   d = P + x exp(-x^2 / 2) / sqrt(2 pi)
//   gelu, tanh form: x (1 + t) / 2, t = tanh(u), u = sqrt(2 / pi) (x + 0.044715 x^3)
//                                                  d = (1 + t) / 2 + x (1 - t^2) u' / 2
//   elu(x) = x > 0 ? c x : a (exp(b x) - 1)        d = x > 0 ? c : a b exp(b x)
//   softplus(x) = log(1 + exp(beta x)) / beta, or x where beta x > threshold;  d = sigmoid(beta x), or 1
//   hardsigmoid(x) = min(max(x + 3, 0), 6) / 6;  hardswish(x) = x hardsigmoid(x)
#include "kernels/cpu/loops_impl.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kInvSqrt2Pi = 0.39894228040143267794;
constexpr double kSqrt2OverPi = 0.79788456080286535588;
constexpr double kGeluCubic = 0.044715;

// 2^y for |y| < 126, by a polynomial of 2^r, |r| <= 1/2; elsewhere anything.
template <class... C>
PYNN_INLINE VecF power_of_2(VecF y, C... coefficients) {
#ifdef PYNN_HAS_SCALE
  const VecF k = round(y);
  return native::scale(poly(y - k, coefficients...).v, k.v);
#else
  const VecF magic(Fp<float>::kMagic), t = y + magic;
  return poly(y - (t - magic), coefficients...) * power_of_2<float>(bits(t) - bits(magic));
#endif
}
PYNN_INLINE VecF from_tail(VecF x, VecF tail) {
  tail = select(abs(x) > VecF(6), VecF(0), tail);
  return select(x > VecF(0), VecF(1) - tail, tail);
}
// (1 + erf(x / sqrt 2)) / 2. float: 2^p(|x|) is the tail, to 2^-29 absolutely; 0 from 6 on.
PYNN_INLINE VecF normal_cdf(VecF x) {
  const VecF p = poly(abs(x), -0.999999983, -1.15110518, -0.459212831, -0.0524653221, 0.00698456283, -3.66916562e-05,
                      -0.000255490964, 6.57552396e-05, -8.00235046e-06, 4.05296213e-07);
  return from_tail(
      x, power_of_2(p, 1, 0.693147203, 0.240226479, 0.0555033248, 0.00961843751, 0.00133988725, 0.000153533052));
}
// For half types: the tail to 5e-5 of its value.
PYNN_INLINE VecF normal_cdf_coarse(VecF x) {
  const VecF p = poly(abs(x), -1.00006479, -1.15017427, -0.461271905, -0.0511853453, 0.00719556713, -0.000611100131,
                      2.29900607e-05);
  return from_tail(x, power_of_2(p, 1, 0.693124211, 0.240240996, 0.0559062807, 0.00958274278));
}
PYNN_INLINE VecD normal_cdf(VecD x) { return VecD(0.5) * erfc(x * VecD(-kSqrtHalf)); }
template <class V>
PYNN_INLINE V gelu_tanh_argument(V x) {
  return constant<V>(kSqrt2OverPi) * (x + constant<V>(kGeluCubic) * x * x * x);
}
template <class V>
PYNN_INLINE V gelu_tanh_derivative(V x) {
  const V t = tanh(gelu_tanh_argument(x));
  const V slope = constant<V>(kSqrt2OverPi) * (V(1) + constant<V>(3 * kGeluCubic) * x * x);
  return constant<V>(0.5) * (V(1) + t + x * (V(1) - t * t) * slope);
}
template <class V>
PYNN_INLINE V hard_sigmoid(V x) {
  return minimum(maximum(x + V(3), V(0)), V(6)) * constant<V>(1.0 / 6);
}
template <class V>
PYNN_INLINE V hard_sigmoid_backward(V g, V x) {
  return select((x > V(-3)) & (x < V(3)), g * constant<V>(1.0 / 6), V(0));
}
template <class V>
PYNN_INLINE V hard_swish_backward(V g, V x) {
  const V middle = g * fma(x, constant<V>(1.0 / 3), constant<V>(0.5));
  return select(x <= V(-3), V(0), select(x < V(3), middle, g));
}
// Beyond 20 the identity to within rounding, of double too; exp would overflow.
template <class V>
PYNN_INLINE V mish(V x) {
  const V e = exp(x), n = e * (e + V(2));
  return select(x > V(20), x, x * n / (n + V(2)));
}
template <class V>
PYNN_INLINE V mish_derivative(V x) {
  const V e = exp(x), n = e * (e + V(2)), r = V(1) / (n + V(2));
  return select(x > V(20), V(1), r * (n + V(4) * x * e * (V(1) + e) * r));
}
template <class V>
PYNN_INLINE V silu_derivative(V x) {
  const V s = sigmoid(x);
  return s * (V(1) + x * (V(1) - s));
}

}  // namespace

PYNN_UNARY_LONG(Sigmoid, sigmoid(x))
PYNN_UNARY_LONG(Silu, (x * sigmoid(x)))
PYNN_UNARY_LONG(Mish, mish(x))
PYNN_UNARY_LONG(Gelu, (x * normal_cdf(x)))
struct GeluOfHalf {
  static constexpr bool kLong = true;
  PYNN_INLINE explicit GeluOfHalf(LoopParams) {}
  PYNN_INLINE VecF operator()(VecF x) const { return x * normal_cdf_coarse(x); }
};
template <>
struct UnaryFnOf<Unary::Gelu, Half> {
  using type = GeluOfHalf;
};
template <>
struct UnaryFnOf<Unary::Gelu, BFloat16> {
  using type = GeluOfHalf;
};
PYNN_UNARY(Hardsigmoid, hard_sigmoid(x))
PYNN_UNARY(Hardswish, (x * hard_sigmoid(x)))
PYNN_UNARY_LONG(GeluTanh, constant<V>(0.5) * x * (V(1) + tanh(gelu_tanh_argument(x))))

PYNN_BINARY(HardsigmoidBackward, hard_sigmoid_backward(a, b))
PYNN_BINARY(HardswishBackward, hard_swish_backward(a, b))
PYNN_BINARY(SigmoidBackward, a * b * (V(1) - b))
PYNN_BINARY(TanhBackward, (a * (V(1) - b * b)))
PYNN_BINARY_LONG(SiluBackward, (a * silu_derivative(b)))
PYNN_BINARY_LONG(MishBackward, (a * mish_derivative(b)))
PYNN_BINARY_LONG(GeluBackward, (a * (normal_cdf(b) + b * constant<V>(kInvSqrt2Pi) * exp(constant<V>(-0.5) * b * b))))
PYNN_BINARY_LONG(GeluTanhBackward, (a * gelu_tanh_derivative(b)))

template <class T>
struct BinaryFn<Binary::LeakyReluBackward, T> {
  static constexpr bool kLong = false;
  Vec<T> slope;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : slope(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> g, Vec<T> x) const { return select(x > Vec<T>(0), g, g * slope); }
};

template <class T>
struct UnaryFn<Unary::Elu, T> {
  static constexpr bool kLong = true;
  Vec<T> below, above, inner;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : below(p.get<T>(0)), above(p.get<T>(1)), inner(p.get<T>(2)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const { return select(x > Vec<T>(0), x * above, below * expm1(x * inner)); }
};
template <class T>
struct BinaryFn<Binary::EluBackward, T> {
  static constexpr bool kLong = true;
  Vec<T> below, above, inner;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : below(p.get<T>(0)), above(p.get<T>(1)), inner(p.get<T>(2)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> g, Vec<T> x) const {
    return g * select(x > Vec<T>(0), above, below * inner * exp(x * inner));
  }
};

// A NaN is neither between nor beyond the bounds: it and its gradient pass.
template <class T>
struct UnaryFn<Unary::Threshold, T> {
  static constexpr bool kLong = false;
  Vec<T> low, high, value;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : low(p.get<T>(0)), high(p.get<T>(1)), value(p.get<T>(2)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const { return select((x >= low) & (x <= high), value, x); }
};
template <class T>
struct BinaryFn<Binary::ThresholdBackward, T> {
  static constexpr bool kLong = false;
  Vec<T> low, high;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : low(p.get<T>(0)), high(p.get<T>(1)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> g, Vec<T> x) const { return select((x >= low) & (x <= high), Vec<T>(0), g); }
};
template <class T>
struct BinaryFn<Binary::HardtanhBackward, T> {
  static constexpr bool kLong = false;
  Vec<T> low, high;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : low(p.get<T>(0)), high(p.get<T>(1)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> g, Vec<T> x) const { return select((x <= low) | (x >= high), Vec<T>(0), g); }
};
template <class T>
struct UnaryFn<Unary::Softshrink, T> {
  static constexpr bool kLong = false;
  Vec<T> lambda;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : lambda(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const { return x - minimum(maximum(x, -lambda), lambda); }
};
PYNN_BINARY(Prelu, select(a > V(0), a, a* b))

template <class T>
struct UnaryFn<Unary::Softplus, T> {
  static constexpr bool kLong = true;
  Vec<T> beta, threshold;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : beta(p.get<T>(0)), threshold(p.get<T>(1)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const {
    const Vec<T> z = x * beta;
    return select(z > threshold, x, log1p(exp(z)) / beta);
  }
};
template <class T>
struct BinaryFn<Binary::SoftplusBackward, T> {
  static constexpr bool kLong = true;
  Vec<T> beta, threshold;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : beta(p.get<T>(0)), threshold(p.get<T>(1)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> g, Vec<T> x) const {
    const Vec<T> z = x * beta;
    return select(z > threshold, g, g * sigmoid(z));
  }
};

PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Sigmoid)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Silu)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Mish)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Gelu)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, GeluTanh)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Elu)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Threshold)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Softshrink)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Softplus)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Hardsigmoid)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Hardswish)
PYNN_HALF_LOOPS(PYNN_UNARY_LOOP, Gelu)
PYNN_HALF_LOOPS(PYNN_UNARY_LOOP, Hardsigmoid)
PYNN_HALF_LOOPS(PYNN_UNARY_LOOP, Hardswish)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, SigmoidBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, TanhBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, SiluBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, MishBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, GeluBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, GeluTanhBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, LeakyReluBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, EluBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, ThresholdBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, HardtanhBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Prelu)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, SoftplusBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, HardsigmoidBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, HardswishBackward)

}  // namespace PYNN_CPU_NAMESPACE
