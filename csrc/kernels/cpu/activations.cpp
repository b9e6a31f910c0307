// activations.cpp -- activation functions of neural networks, and their derivatives times a gradient g.
//
//   sigmoid(x) = 1 / (1 + exp(-x))                 d = y (1 - y)            of the result y
//   tanh(x)                                        d = 1 - y^2              of the result y
//   silu(x) = x s, s = sigmoid(x)                  d = s (1 + x (1 - s))
//   gelu(x) = x P, P = (1 + erf(x / sqrt 2)) / 2   d = P + x exp(-x^2 / 2) / sqrt(2 pi)
//   gelu, tanh form: x (1 + t) / 2, t = tanh(u), u = sqrt(2 / pi) (x + 0.044715 x^3)
//                                                  d = (1 + t) / 2 + x (1 - t^2) u' / 2
//   elu(x) = x > 0 ? x : alpha (exp(x) - 1)        d = x > 0 ? 1 : alpha exp(x)
//   softplus(x) = log(1 + exp(beta x)) / beta, or x where beta x > threshold;  d = sigmoid(beta x), or 1
#include "kernels/cpu/loops_impl.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kInvSqrt2Pi = 0.39894228040143267794;
constexpr double kSqrt2OverPi = 0.79788456080286535588;
constexpr double kGeluCubic = 0.044715;

template <class V>
PYNN_INLINE V normal_cdf(V x) {
  return constant<V>(0.5) * (V(1) + erf(x * constant<V>(kSqrtHalf)));
}
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
PYNN_INLINE V silu_derivative(V x) {
  const V s = sigmoid(x);
  return s * (V(1) + x * (V(1) - s));
}

}  // namespace

PYNN_UNARY_LONG(Sigmoid, sigmoid(x))
PYNN_UNARY_LONG(Silu, (x * sigmoid(x)))
PYNN_UNARY_LONG(Gelu, (x * normal_cdf(x)))
PYNN_UNARY_LONG(GeluTanh, constant<V>(0.5) * x * (V(1) + tanh(gelu_tanh_argument(x))))

PYNN_BINARY(SigmoidBackward, a * b * (V(1) - b))
PYNN_BINARY(TanhBackward, (a * (V(1) - b * b)))
PYNN_BINARY_LONG(SiluBackward, (a * silu_derivative(b)))
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
  Vec<T> alpha;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : alpha(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const { return select(x > Vec<T>(0), x, alpha * expm1(x)); }
};
template <class T>
struct BinaryFn<Binary::EluBackward, T> {
  static constexpr bool kLong = true;
  Vec<T> alpha;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : alpha(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> g, Vec<T> x) const { return select(x > Vec<T>(0), g, g * alpha * exp(x)); }
};

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

PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, Sigmoid)
PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, Silu)
PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, Gelu)
PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, GeluTanh)
PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, Elu)
PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, Softplus)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, SigmoidBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, TanhBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, SiluBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, GeluBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, GeluTanhBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, LeakyReluBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, EluBackward)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, SoftplusBackward)

}  // namespace PYNN_CPU_NAMESPACE
