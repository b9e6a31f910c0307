// unary.cu -- maps of one operand (kernels/elementwise.h). The formulas are those of kernels/cpu/unary_*.cpp and
// activations.cpp.
#include "kernels/cuda/map.cuh"
#include "kernels/cuda/math.cuh"

namespace pynn::cuda {
namespace {

template <auto op, class C>
struct UnaryFn;

// `exists`: for which compute types; `cost`: see map.cuh.
#define PYNN_UNARY(op, exists, cost, ...)                                            \
  template <class C>                                                                 \
  struct UnaryFn<Unary::op, C> : MapFunction<exists, cost, ResultOf<Unary::op, C>> { \
    explicit UnaryFn(const MapArgs&) {}                                              \
    __device__ ResultOf<Unary::op, C> operator()(C x) const { __VA_ARGS__; }         \
  };
#define PYNN_UNARY_P1(op, exists, cost, p, ...)                                      \
  template <class C>                                                                 \
  struct UnaryFn<Unary::op, C> : MapFunction<exists, cost, ResultOf<Unary::op, C>> { \
    C p;                                                                             \
    explicit UnaryFn(const MapArgs& args) : p(parameter<C>(args, 0)) {}              \
    __device__ C operator()(C x) const { __VA_ARGS__; }                              \
  };
#define PYNN_UNARY_P2(op, exists, cost, p, q, ...)                                                \
  template <class C>                                                                              \
  struct UnaryFn<Unary::op, C> : MapFunction<exists, cost, ResultOf<Unary::op, C>> {              \
    C p, q;                                                                                       \
    explicit UnaryFn(const MapArgs& args) : p(parameter<C>(args, 0)), q(parameter<C>(args, 1)) {} \
    __device__ C operator()(C x) const { __VA_ARGS__; }                                           \
  };

PYNN_UNARY(Neg, true, 0, if constexpr (kReal<C>) return -x; else return math::subtract(C(0), x))
PYNN_UNARY(Abs, true, 0, if constexpr (kReal<C>) return math::fabs(x);
           else return x < C(0) ? math::subtract(C(0), x) : x)
PYNN_UNARY(Sign, true, 0, return static_cast<C>(x > C(0) ? 1 : x < C(0) ? -1 : 0))  // of NaN: 0
PYNN_UNARY(Square, true, 0, return math::multiply(x, x))
PYNN_UNARY(Relu, true, 0, return x > C(0) || x != x ? x : C(0))
PYNN_UNARY(LogicalNot, true, 0, return x == C(0))
#define PYNN_ROUNDING(op, function) \
  PYNN_UNARY(op, true, 0, if constexpr (kReal<C>) return math::function(x); else return x)
PYNN_ROUNDING(Floor, floor)
PYNN_ROUNDING(Ceil, ceil)
PYNN_ROUNDING(Round, rint)
PYNN_ROUNDING(Trunc, trunc)
PYNN_UNARY(BitNot, !kReal<C>, 0, return static_cast<C>(~x))
PYNN_UNARY_P2(Clamp, true, 0, low, high, return Smaller{}(Larger{}(x, low), high))

PYNN_UNARY(Sqrt, kReal<C>, 0, return math::sqrt(x))
PYNN_UNARY(Rsqrt, kReal<C>, 0, return C(1) / math::sqrt(x))
PYNN_UNARY(Reciprocal, kReal<C>, 0, return C(1) / x)
PYNN_UNARY(Frac, kReal<C>, 0, return x - math::trunc(x))
PYNN_UNARY(IsNan, kReal<C>, 0, return x != x)
PYNN_UNARY(IsInf, kReal<C>, 0, return math::fabs(x) == C(INFINITY))
PYNN_UNARY(IsFinite, kReal<C>, 0, return math::fabs(x) < C(INFINITY))
PYNN_UNARY(Hardsigmoid, kReal<C>, 0, return Smaller{}(Larger{}(x + C(3), C(0)), C(6)) * C(1.0 / 6))
PYNN_UNARY(Hardswish, kReal<C>, 0, return x * (Smaller{}(Larger{}(x + C(3), C(0)), C(6)) * C(1.0 / 6)))
template <class C>
struct UnaryFn<Unary::NanToNum, C> : MapFunction<kReal<C>, 0, C> {
  C nan, high, low;
  explicit UnaryFn(const MapArgs& args)
      : nan(parameter<C>(args, 0)), high(parameter<C>(args, 1)), low(parameter<C>(args, 2)) {}
  __device__ C operator()(C x) const { return x != x ? nan : x == C(INFINITY) ? high : x == C(-INFINITY) ? low : x; }
};
PYNN_UNARY(Angle, kReal<C>, 0, return x < C(0) ? C(3.14159265358979323846) : x == x ? C(0) : x)
PYNN_UNARY_P1(LeakyRelu, kReal<C>, 0, slope, return x > C(0) ? x : x * slope)

#define PYNN_FUNCTION(op, cost, function) PYNN_UNARY(op, kReal<C>, cost, return math::function(x))
PYNN_FUNCTION(Exp, 1, exp)
PYNN_FUNCTION(Exp2, 1, exp2)
PYNN_FUNCTION(Expm1, 1, expm1)
PYNN_FUNCTION(Log, 1, log)
PYNN_FUNCTION(Log2, 1, log2)
PYNN_FUNCTION(Log10, 1, log10)
PYNN_FUNCTION(Log1p, 1, log1p)
PYNN_FUNCTION(Sin, 2, sin)
PYNN_FUNCTION(Cos, 2, cos)
PYNN_FUNCTION(Tan, 2, tan)
PYNN_FUNCTION(Asin, 2, asin)
PYNN_FUNCTION(Acos, 2, acos)
PYNN_FUNCTION(Atan, 2, atan)
PYNN_FUNCTION(Sinh, 2, sinh)
PYNN_FUNCTION(Cosh, 2, cosh)
PYNN_FUNCTION(Asinh, 2, asinh)
PYNN_FUNCTION(Acosh, 2, acosh)
PYNN_FUNCTION(Atanh, 2, atanh)
PYNN_FUNCTION(Erf, 1, erf)
PYNN_FUNCTION(Erfc, 2, erfc)

// `half`: of x, a float, for packs of half types.
#define PYNN_UNARY_HALF(op, half, ...)                          \
  struct op##OfHalf : MapFunction<true, 1, float> {             \
    explicit op##OfHalf(const MapArgs&) {}                      \
    __device__ float operator()(float x) const { return half; } \
  };                                                            \
  template <class C>                                            \
  struct UnaryFn<Unary::op, C> : MapFunction<kReal<C>, 1, C> {  \
    using OfHalf = op##OfHalf;                                  \
    explicit UnaryFn(const MapArgs&) {}                         \
    __device__ C operator()(C x) const { __VA_ARGS__; }         \
  };
PYNN_UNARY_HALF(Sigmoid, math::sigmoid_coarse(x), return math::sigmoid(x))
PYNN_UNARY_HALF(Tanh, math::tanh_coarse(x), return math::tanh(x))
PYNN_UNARY_HALF(Silu, math::sigmoid_coarse(x) * x, return x * math::sigmoid(x))
PYNN_UNARY_HALF(Gelu, math::normal_cdf_coarse(x) * x, return x * math::normal_cdf(x))
PYNN_UNARY_HALF(GeluTanh, math::tanh_cdf_coarse(x) * x,
                const C u = C(0.79788456080286535588) * (x + C(0.044715) * x * x * x);
                return C(0.5) * x * (C(1) + math::tanh(u)))
PYNN_UNARY(Mish, kReal<C>, 1, const C e = math::exp(x), n = e * (e + C(2)); return x > C(20) ? x : x * n / (n + C(2)))
template <class C>
struct UnaryFn<Unary::Elu, C> : MapFunction<kReal<C>, 1, C> {
  C below, above, inner;
  explicit UnaryFn(const MapArgs& args)
      : below(parameter<C>(args, 0)), above(parameter<C>(args, 1)), inner(parameter<C>(args, 2)) {}
  __device__ C operator()(C x) const { return x > C(0) ? x * above : below * math::expm1(x * inner); }
};
template <class C>
struct UnaryFn<Unary::Threshold, C> : MapFunction<kReal<C>, 0, C> {
  C low, high, value;
  explicit UnaryFn(const MapArgs& args)
      : low(parameter<C>(args, 0)), high(parameter<C>(args, 1)), value(parameter<C>(args, 2)) {}
  __device__ C operator()(C x) const { return x >= low && x <= high ? value : x; }
};
PYNN_UNARY_P1(Softshrink, kReal<C>, 0, lambda, return x - Smaller{}(Larger{}(x, -lambda), lambda))
PYNN_UNARY_P2(Softplus, kReal<C>, 2, beta, threshold, const C z = x * beta;
              return z > threshold ? x : math::log1p(math::exp(z)) / beta)

}  // namespace

void map_unary(Unary op, const MapArgs& args) {
  if (is_complex(args.compute) && op != Unary::Copy) return map_complex(op, args);
  switch (op) {
#define PYNN_CASE(name) \
  case Unary::name:     \
    return run_map<UnaryFn, Unary::name, 1>("map_unary", args);
    PYNN_CASE(Neg)
    PYNN_CASE(Abs)
    PYNN_CASE(Sign)
    PYNN_CASE(Square)
    PYNN_CASE(Sqrt)
    PYNN_CASE(Rsqrt)
    PYNN_CASE(Reciprocal)
    PYNN_CASE(Exp)
    PYNN_CASE(Exp2)
    PYNN_CASE(Expm1)
    PYNN_CASE(Log)
    PYNN_CASE(Log2)
    PYNN_CASE(Log10)
    PYNN_CASE(Log1p)
    PYNN_CASE(Sin)
    PYNN_CASE(Cos)
    PYNN_CASE(Tan)
    PYNN_CASE(Asin)
    PYNN_CASE(Acos)
    PYNN_CASE(Atan)
    PYNN_CASE(Sinh)
    PYNN_CASE(Cosh)
    PYNN_CASE(Tanh)
    PYNN_CASE(Asinh)
    PYNN_CASE(Acosh)
    PYNN_CASE(Atanh)
    PYNN_CASE(Erf)
    PYNN_CASE(Erfc)
    PYNN_CASE(Floor)
    PYNN_CASE(Ceil)
    PYNN_CASE(Round)
    PYNN_CASE(Trunc)
    PYNN_CASE(Frac)
    PYNN_CASE(Sigmoid)
    PYNN_CASE(Relu)
    PYNN_CASE(Gelu)
    PYNN_CASE(GeluTanh)
    PYNN_CASE(Silu)
    PYNN_CASE(Mish)
    PYNN_CASE(LeakyRelu)
    PYNN_CASE(Elu)
    PYNN_CASE(Threshold)
    PYNN_CASE(Softshrink)
    PYNN_CASE(Softplus)
    PYNN_CASE(Hardsigmoid)
    PYNN_CASE(Hardswish)
    PYNN_CASE(NanToNum)
    PYNN_CASE(BitNot)
    PYNN_CASE(LogicalNot)
    PYNN_CASE(IsNan)
    PYNN_CASE(IsInf)
    PYNN_CASE(IsFinite)
    PYNN_CASE(Clamp)
    PYNN_CASE(Angle)
#undef PYNN_CASE
    case Unary::Copy:
      return map_copy(args);
    case Unary::Conj:
    case Unary::Count:
      break;
  }
  no_loop("map_unary", args.compute);
}
PYNN_CUDA_KERNEL(map_unary);

void unary_contiguous(Unary op, DType type, void* y, const void* x, int64_t n, const double* params) {
  MapArgs args{};
  contiguous_args(args, type, n, params);
  set_contiguous(args.operands[0], y, yields_bool(op) ? DType::Bool : type, 1);
  set_contiguous(args.operands[1], const_cast<void*>(x), type, 1);
  args.noperands = 2;
  map_unary(op, args);
}
PYNN_CUDA_KERNEL(unary_contiguous);

}  // namespace pynn::cuda
