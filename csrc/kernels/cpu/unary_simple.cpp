// unary_simple.cpp -- maps of one operand that need no transcendental function.
#include "kernels/cpu/loops_impl.h"

namespace PYNN_CPU_NAMESPACE {

// Roundings leave integers as they are.
#define PYNN_ROUNDING(op, function) \
  PYNN_UNARY_FN(op, false, if constexpr (std::is_integral_v<T>) return x; else return function(x))

PYNN_UNARY(Copy, x)
PYNN_UNARY(Neg, -x)
PYNN_UNARY(Abs, abs(x))
// A NaN's sign is 0, as in PyTorch.
PYNN_UNARY(Sign, select(x > V(0), V(1), select(x < V(0), V(T(-1)), V(0))))
PYNN_UNARY(Square, (x * x))
PYNN_UNARY(Relu, maximum(x, V(0)))
PYNN_UNARY(LogicalNot, x == V(0))
PYNN_ROUNDING(Floor, floor)
PYNN_ROUNDING(Ceil, ceil)
PYNN_ROUNDING(Round, round)
PYNN_ROUNDING(Trunc, trunc)

PYNN_UNARY(Sqrt, sqrt(x))
PYNN_UNARY(Rsqrt, V(1) / sqrt(x))
PYNN_UNARY(Reciprocal, V(1) / x)
PYNN_UNARY(Frac, x - trunc(x))
PYNN_UNARY(IsNan, x != x)
PYNN_UNARY(IsInf, abs(x) == V(T(__builtin_inf())))
PYNN_UNARY(IsFinite, abs(x) < V(T(__builtin_inf())))

PYNN_UNARY(BitNot, ~x)
PYNN_UNARY(Angle, select(x < V(0), V(T(3.14159265358979323846)), select(x == x, V(0), x)))

template <class T>
struct UnaryFn<Unary::Clamp, T> {
  static constexpr bool kLong = false;
  Vec<T> low, high;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : low(p.get<T>(0)), high(p.get<T>(1)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const { return minimum(maximum(x, low), high); }
};
template <class T>
struct UnaryFn<Unary::LeakyRelu, T> {
  static constexpr bool kLong = false;
  Vec<T> slope;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : slope(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x) const { return select(x > Vec<T>(0), x, x * slope); }
};

template <class T>
struct UnaryFn<Unary::NanToNum, T> {
  using V = Vec<T>;
  static constexpr bool kLong = false;
  V nan, high, low;
  PYNN_INLINE explicit UnaryFn(LoopParams p) : nan(p.get<T>(0)), high(p.get<T>(1)), low(p.get<T>(2)) {}
  PYNN_INLINE V operator()(V x) const {
    const V inf{static_cast<T>(__builtin_inf())};
    return select(x != x, nan, select(x == inf, high, select(x == -inf, low, x)));
  }
};

// The sign of half types is a bit, whatever the number: no conversion. `four` is of four neighbours, or of one.
#define PYNN_SIGN_LOOP(op, S, four)                                                                                \
  template <>                                                                                                      \
  bool unary_loop<Unary::op, S>(const LoopArgs& args) {                                                            \
    const auto sign = [](auto v) __attribute__((always_inline)) { return four; };                                  \
    each_row<2>(args, [&](void* const* at, int64_t n) {                                                            \
      uint16_t* y = static_cast<uint16_t*>(at[0]);                                                                 \
      const uint16_t* x = static_cast<const uint16_t*>(at[1]);                                                     \
      each<4 * Vec<int64_t>::kSize>(                                                                               \
          n,                                                                                                       \
          [=](int64_t i) __attribute__((always_inline)) {                                                          \
            const auto v = Vec<int64_t>::load(reinterpret_cast<const int64_t*>(x + i));                            \
            sign(v).store(reinterpret_cast<int64_t*>(y + i));                                                      \
          },                                                                                                       \
          [=](int64_t i, int64_t left) {                                                                           \
            for (int64_t k = i; k < i + left; ++k) y[k] = static_cast<uint16_t>(sign(static_cast<int64_t>(x[k]))); \
          });                                                                                                      \
    });                                                                                                            \
    return true;                                                                                                   \
  }
constexpr int64_t kSigns = static_cast<int64_t>(0x8000800080008000);
PYNN_SIGN_LOOP(Neg, Half, v ^ decltype(v)(kSigns))
PYNN_SIGN_LOOP(Neg, BFloat16, v ^ decltype(v)(kSigns))
PYNN_SIGN_LOOP(Abs, Half, v& decltype(v)(~kSigns))
PYNN_SIGN_LOOP(Abs, BFloat16, v& decltype(v)(~kSigns))

PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Copy)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Neg)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Abs)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Sign)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Square)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Relu)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, LogicalNot)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Floor)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Ceil)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Round)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Trunc)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Clamp)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Sqrt)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Rsqrt)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Reciprocal)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Frac)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, IsNan)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, IsInf)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, IsFinite)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, LeakyRelu)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, Angle)
PYNN_FULL_LOOPS(PYNN_UNARY_LOOP, NanToNum)

PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Copy)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Neg)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Abs)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Sign)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Square)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Relu)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, LogicalNot)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Floor)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Ceil)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Round)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Trunc)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, Clamp)
PYNN_WIDE_LOOPS(PYNN_UNARY_LOOP, BitNot)

PYNN_HALF_LOOPS(PYNN_UNARY_LOOP, Square)
PYNN_HALF_LOOPS(PYNN_UNARY_LOOP, Relu)
PYNN_HALF_LOOPS(PYNN_UNARY_LOOP, NanToNum)

PYNN_NARROW_LOOPS(PYNN_UNARY_LOOP, Neg)
PYNN_NARROW_LOOPS(PYNN_UNARY_LOOP, Abs)
PYNN_NARROW_LOOPS(PYNN_UNARY_LOOP, LogicalNot)
PYNN_NARROW_LOOPS(PYNN_UNARY_LOOP, BitNot)

}  // namespace PYNN_CPU_NAMESPACE
