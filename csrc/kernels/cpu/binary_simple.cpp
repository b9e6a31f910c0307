// binary_simple.cpp -- arithmetic, comparisons, logic and bit operations of two operands.
#include "kernels/cpu/loops_impl.h"

namespace PYNN_CPU_NAMESPACE {

template <class T>
struct BinaryFn<Binary::Add, T> {
  static constexpr bool kLong = false;
  Vec<T> alpha;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : alpha(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { return fma(alpha, b, a); }
};
template <class T>
struct BinaryFn<Binary::Sub, T> {
  static constexpr bool kLong = false;
  Vec<T> alpha;
  PYNN_INLINE explicit BinaryFn(LoopParams p) : alpha(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b) const { return fnma(alpha, b, a); }
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
PYNN_BINARY_LONG(ShiftLeft, shift_left(a, b))
PYNN_BINARY_LONG(ShiftRight, shift_right(a, b))

PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Add)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Sub)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Mul)
PYNN_FLOAT_LOOPS(PYNN_BINARY_LOOP, Div)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Maximum)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Minimum)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, ReluBackward)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Eq)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Ne)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Lt)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Le)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Gt)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, Ge)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, LogicalAnd)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, LogicalOr)
PYNN_ALL_LOOPS(PYNN_BINARY_LOOP, LogicalXor)
PYNN_INT_LOOPS(PYNN_BINARY_LOOP, BitAnd)
PYNN_INT_LOOPS(PYNN_BINARY_LOOP, BitOr)
PYNN_INT_LOOPS(PYNN_BINARY_LOOP, BitXor)
PYNN_INT_LOOPS(PYNN_BINARY_LOOP, ShiftLeft)
PYNN_INT_LOOPS(PYNN_BINARY_LOOP, ShiftRight)

}  // namespace PYNN_CPU_NAMESPACE
