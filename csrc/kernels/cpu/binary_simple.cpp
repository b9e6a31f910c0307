// binary_simple.cpp -- arithmetic, comparisons, logic and bit operations of two operands.
#include "kernels/cpu/loops_impl.h"

namespace PYNN_CPU_NAMESPACE {

// a + alpha * b. Integers of 8 bytes have no multiplication before AVX-512, and alpha is nearly always 1.
template <class T>
struct BinaryFn<Binary::Add, T> {
  static constexpr bool kLong = false;
  Vec<T> alpha;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : alpha(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { return fma(alpha, b, a); }
  PYNN_INLINE static bool is_plain(LoopParams p) { return p.get<T>(0) == T(1); }
  struct Plain {
    PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { return a + b; }
  };
};
template <class T>
struct BinaryFn<Binary::Sub, T> {
  static constexpr bool kLong = false;
  Vec<T> alpha;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : alpha(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { return fnma(alpha, b, a); }
  PYNN_INLINE static bool is_plain(LoopParams p) { return p.get<T>(0) == T(1); }
  struct Plain {
    PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { return a - b; }
  };
};
PYNN_BINARY(Mul, (a * b))
PYNN_BINARY(Div, a / b)
PYNN_BINARY(Maximum, maximum(a, b))
PYNN_BINARY(Minimum, minimum(a, b))
PYNN_BINARY(ReluBackward, select(b > V(0), a, V(0)))

PYNN_BINARY(Eq, a == b)
PYNN_BINARY(Ne, a != b)
PYNN_BINARY(Lt, a < b)
PYNN_BINARY(Le, a <= b)
PYNN_BINARY(Gt, a > b)
PYNN_BINARY(Ge, a >= b)
PYNN_BINARY(LogicalAnd, (a != V(0)) & (b != V(0)))
PYNN_BINARY(LogicalOr, (a != V(0)) | (b != V(0)))
PYNN_BINARY(LogicalXor, (a != V(0)) ^ (b != V(0)))

PYNN_BINARY(BitAnd, (a & b))
PYNN_BINARY(BitOr, a | b)
PYNN_BINARY(BitXor, a ^ b)

// Shifts by an amount outside of [0, bits): left gives 0, right what is left of the sign.
template <class V>
PYNN_INLINE V shift_left(V a, V b) {
  constexpr int bits = 8 * sizeof(typename V::Lane);
  const auto ok = (b >= V(0)) & (b < V(bits));
  using Arith = typename V::Arith;
  return select(ok, V((typename V::Native)((Arith)a.v << (Arith)select(ok, b, V(0)).v)), V(0));
}
template <class V>
PYNN_INLINE V shift_right(V a, V b) {
  constexpr int bits = 8 * sizeof(typename V::Lane);
  const auto ok = (b >= V(0)) & (b < V(bits));
  return a.v >> select(ok, b, V(bits - 1)).v;
}
// No ISA shifts each byte by its own amount: the even and the odd ones are shifted as int16, whose low byte is right.
template <class V, class F>
PYNN_INLINE V shifted(V a, V b, F shift) {
  using T = typename V::Lane;
  if constexpr (sizeof(T) > 1) {
    return shift(a, b);
  } else {
    using Words = std::conditional_t<std::is_signed_v<T>, I16, U16>;
    using W = Vec<int16_t>;
    const Words x = (Words)a.v, n = (Words)b.v;
    const W even = shift(W((I16)(Words(x << 8) >> 8)), W((I16)(Words(n << 8) >> 8)));
    const W odd = shift(W((I16)(x >> 8)), W((I16)(n >> 8)));
    return (typename V::Native)((even & W(0xff)) | (odd << 8)).v;
  }
}
PYNN_BINARY_LONG(ShiftLeft,
                 shifted(a, b, [](auto x, auto n) __attribute__((always_inline)) { return shift_left(x, n); }))
PYNN_BINARY_LONG(ShiftRight,
                 shifted(a, b, [](auto x, auto n) __attribute__((always_inline)) { return shift_right(x, n); }))

PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Add)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Sub)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Mul)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Div)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Maximum)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Minimum)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, ReluBackward)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Eq)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Ne)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Lt)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Le)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Gt)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Ge)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, LogicalAnd)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, LogicalOr)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, LogicalXor)

PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Add)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Sub)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Mul)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Maximum)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Minimum)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, ReluBackward)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Eq)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Ne)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Lt)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Le)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Gt)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, Ge)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, LogicalAnd)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, LogicalOr)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, LogicalXor)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, BitAnd)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, BitOr)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, BitXor)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, ShiftLeft)
PYNN_WIDE_LOOPS(PYNN_BINARY_LOOP, ShiftRight)

PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, Add)
PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, Sub)
PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, Mul)
PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, Div)
PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, Maximum)
PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, Minimum)
PYNN_HALF_LOOPS(PYNN_BINARY_LOOP, ReluBackward)

PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Add)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Sub)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Mul)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Maximum)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Minimum)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Eq)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Ne)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Lt)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Le)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Gt)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, Ge)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, LogicalAnd)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, LogicalOr)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, LogicalXor)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, BitAnd)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, BitOr)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, BitXor)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, ShiftLeft)
PYNN_NARROW_LOOPS(PYNN_BINARY_LOOP, ShiftRight)

}  // namespace PYNN_CPU_NAMESPACE
