// binary_long.cu -- powers, divisions with a remainder, and backward maps of activations (kernels/elementwise.h). The
// formulas are those of kernels/cpu/binary_divide.cpp, binary_power.cpp and activations.cpp.
#include "kernels/cuda/binary.cuh"

namespace pynn::cuda {
namespace {

// Of floats: Python's, with the sign of b.
template <class C>
__device__ bool signs_differ(C r, C b) {
  return r != C(0) && (b < C(0)) != (r < C(0));
}
template <class C>
__device__ C float_remainder(C a, C b) {
  const C r = math::fmod(a, b);
  return signs_differ(r, b) ? r + b : r;
}
// The floor of the exact quotient, by way of the remainder, which floor(a / b) is not.
template <class C>
__device__ C float_floor_divide(C a, C b) {
  if (b == C(0)) return a / b;
  const C r = math::fmod(a, b);
  C q = (a - r) / b;
  if (signs_differ(r, b)) q -= C(1);
  if (q == C(0)) return math::copysign(C(0), a / b);
  const C whole = math::floor(q);
  return q - whole > C(0.5) ? whole + C(1) : whole;
}

// Of integers: 0 where b is; the quotient by -1 wraps around.
enum class Part { Floored, Fmod, Remainder };
template <Part part, class C>
__device__ C integer_divide(C a, C b) {
  if (b == C(0)) return C(0);
  if (b == C(-1)) return part == Part::Floored ? math::subtract(C(0), a) : C(0);
  const C q = a / b, r = a - q * b;
  const bool down = r != 0 && (r ^ b) < 0;
  if (part == Part::Floored) return q - down;
  return part == Part::Remainder && down ? r + b : r;
}

template <class C>
__device__ C integer_power(C a, C b) {
  using U = std::make_unsigned_t<C>;
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  U result = 1, base = static_cast<U>(a);
  for (U e = static_cast<U>(b); e != 0; e >>= 1) {
    if (e & 1) result *= base;
    base *= base;
  }
  return static_cast<C>(result);
}
// One exponent for all that a few multiplications serve has PyTorch's choice of formulas.
template <class C>
__device__ C float_power(C a, C b, bool one_exponent) {
  if (one_exponent) {
    if (b == C(2)) return a * a;
    if (b == C(3)) return a * a * a;
    if (b == C(0.5)) return math::sqrt(a);
    if (b == C(-0.5)) return C(1) / math::sqrt(a);
    if (b == C(1)) return a;
    if (b == C(0)) return C(1);
    if (b == C(-1)) return C(1) / a;
    if (b == C(-2)) return C(1) / (a * a);
  }
  return math::pow(a, b);
}

}  // namespace

PYNN_BINARY(FloorDiv, true, 2, if constexpr (kReal<C>) return float_floor_divide(a, b);
            else return integer_divide<Part::Floored>(a, b))
PYNN_BINARY(Remainder, true, 2, if constexpr (kReal<C>) return float_remainder(a, b);
            else return integer_divide<Part::Remainder>(a, b))
PYNN_BINARY(Fmod, true, 2, if constexpr (kReal<C>) return math::fmod(a, b);
            else return integer_divide<Part::Fmod>(a, b))
PYNN_BINARY(Atan2, kReal<C>, 2, return math::atan2(a, b))

template <class C>
struct BinaryFn<Binary::Pow, C> : MapFunction<true, 2, C> {
  bool one_exponent = true;
  explicit BinaryFn(const MapArgs& args) {
    for (int d = 0; d < args.ndim; ++d) one_exponent &= args.operands[2].strides[d] == 0;
  }
  __device__ C operator()(C a, C b) const {
    if constexpr (kReal<C>)
      return float_power(a, b, one_exponent);
    else
      return integer_power(a, b);
  }
};

// First operand the gradient, second what the forward saved.
PYNN_BINARY(TanhBackward, kReal<C>, 0, return a * (C(1) - b * b))
PYNN_BINARY(SigmoidBackward, kReal<C>, 0, return a * b * (C(1) - b))
PYNN_BINARY_P1(LeakyReluBackward, kReal<C>, 0, slope, return b > C(0) ? a : a * slope)
PYNN_BINARY(HardsigmoidBackward, kReal<C>, 0, return b > C(-3) && b < C(3) ? a * C(1.0 / 6) : C(0))
PYNN_BINARY(HardswishBackward, kReal<C>, 0, return b <= C(-3) ? C(0) : b < C(3) ? a * (b * C(1.0 / 3) + C(0.5)) : a)
PYNN_BINARY(MishBackward, kReal<C>, 1, const C e = math::exp(b), n = e * (e + C(2)), r = C(1) / (n + C(2));
            return b > C(20) ? a : a * r * (n + C(4) * b * e * (C(1) + e) * r))
template <class C>
struct BinaryFn<Binary::EluBackward, C> : MapFunction<kReal<C>, 1, C> {
  C below, above, inner;
  explicit BinaryFn(const MapArgs& args)
      : below(parameter<C>(args, 0)), above(parameter<C>(args, 1)), inner(parameter<C>(args, 2)) {}
  __device__ C operator()(C g, C x) const { return g * (x > C(0) ? above : below * inner * math::exp(x * inner)); }
};
template <class C>
struct BinaryFn<Binary::ThresholdBackward, C> : MapFunction<kReal<C>, 0, C> {
  C low, high;
  explicit BinaryFn(const MapArgs& args) : low(parameter<C>(args, 0)), high(parameter<C>(args, 1)) {}
  __device__ C operator()(C g, C x) const { return x >= low && x <= high ? C(0) : g; }
};
template <class C>
struct BinaryFn<Binary::HardtanhBackward, C> : MapFunction<kReal<C>, 0, C> {
  C low, high;
  explicit BinaryFn(const MapArgs& args) : low(parameter<C>(args, 0)), high(parameter<C>(args, 1)) {}
  __device__ C operator()(C g, C x) const { return x <= low || x >= high ? C(0) : g; }
};
PYNN_BINARY(Prelu, kReal<C>, 0, return a > C(0) ? a : a * b)

// The slope at x, for the operands' type C and for packs of half types.
struct SiluSlope {
  template <class C>
  static __device__ C exact(C x) {
    const C s = math::sigmoid(x);
    return s * (C(1) + x * (C(1) - s));
  }
  static __device__ float of_half(float x) {
    const float s = math::sigmoid_coarse(x);
    return s * (1.0f + x * (1.0f - s));
  }
};
struct GeluSlope {
  template <class C>
  static __device__ C exact(C x) {
    return math::normal_cdf(x) + x * C(0.39894228040143267794) * math::exp(C(-0.5) * x * x);
  }
  static __device__ float of_half(float x) {
    const float density = 0.39894228040143267794f * math::fast_exp2(-0.72134752044448170f * x * x);
    return math::normal_cdf_coarse(x) + x * density;
  }
};
struct GeluTanhSlope {
  template <class C>
  static __device__ C exact(C x) {
    const C t = math::tanh(C(0.79788456080286535588) * (x + C(0.044715) * x * x * x));
    return C(0.5) * (C(1) + t + x * (C(1) - t * t) * inner(x));
  }
  static __device__ float of_half(float x) {
    const float s = math::tanh_cdf_coarse(x);
    return s + x * (2.0f * s * (1.0f - s)) * inner(x);
  }
  template <class C>
  static __device__ C inner(C x) {
    return C(0.79788456080286535588) * (C(1) + C(3 * 0.044715) * x * x);
  }
};
template <class Slope>
struct BySlopeOfHalf : MapFunction<true, 1, float> {
  explicit BySlopeOfHalf(const MapArgs&) {}
  __device__ float operator()(float g, float x) const { return g * Slope::of_half(x); }
};
template <class Slope, class C>
struct BySlope : MapFunction<kReal<C>, 1, C> {
  using OfHalf = BySlopeOfHalf<Slope>;
  explicit BySlope(const MapArgs&) {}
  __device__ C operator()(C g, C x) const { return g * Slope::exact(x); }
};
#define PYNN_BY_SLOPE(name)                                              \
  template <class C>                                                     \
  struct BinaryFn<Binary::name##Backward, C> : BySlope<name##Slope, C> { \
    using BySlope<name##Slope, C>::BySlope;                              \
  };
PYNN_BY_SLOPE(Silu)
PYNN_BY_SLOPE(Gelu)
PYNN_BY_SLOPE(GeluTanh)

template <class C>
struct BinaryFn<Binary::SoftplusBackward, C> : MapFunction<kReal<C>, 1, C> {
  C beta, threshold;
  explicit BinaryFn(const MapArgs& args) : beta(parameter<C>(args, 0)), threshold(parameter<C>(args, 1)) {}
  __device__ C operator()(C g, C x) const {
    const C z = x * beta;
    return z > threshold ? g : g * math::sigmoid(z);
  }
};

void map_binary_long(Binary op, const MapArgs& args) {
  switch (op) {
    PYNN_BINARY_CASE(FloorDiv)
    PYNN_BINARY_CASE(Remainder)
    PYNN_BINARY_CASE(Fmod)
    PYNN_BINARY_CASE(Pow)
    PYNN_BINARY_CASE(Atan2)
    PYNN_BINARY_CASE(TanhBackward)
    PYNN_BINARY_CASE(SigmoidBackward)
    PYNN_BINARY_CASE(GeluBackward)
    PYNN_BINARY_CASE(GeluTanhBackward)
    PYNN_BINARY_CASE(SiluBackward)
    PYNN_BINARY_CASE(MishBackward)
    PYNN_BINARY_CASE(LeakyReluBackward)
    PYNN_BINARY_CASE(EluBackward)
    PYNN_BINARY_CASE(ThresholdBackward)
    PYNN_BINARY_CASE(HardtanhBackward)
    PYNN_BINARY_CASE(Prelu)
    PYNN_BINARY_CASE(SoftplusBackward)
    PYNN_BINARY_CASE(HardsigmoidBackward)
    PYNN_BINARY_CASE(HardswishBackward)
    default:
      break;
  }
  no_loop("map_binary", args.compute);
}

}  // namespace pynn::cuda
