// binary_logic.cu -- comparisons, logic and bit operations of two operands (kernels/elementwise.h).
#include "kernels/cuda/binary.cuh"

namespace pynn::cuda {

PYNN_BINARY(Eq, true, 0, return a == b)
PYNN_BINARY(Ne, true, 0, return a != b)
PYNN_BINARY(Lt, true, 0, return a < b)
PYNN_BINARY(Le, true, 0, return a <= b)
PYNN_BINARY(Gt, true, 0, return a > b)
PYNN_BINARY(Ge, true, 0, return a >= b)
PYNN_BINARY(LogicalAnd, true, 0, return a != C(0) && b != C(0))
PYNN_BINARY(LogicalOr, true, 0, return a != C(0) || b != C(0))
PYNN_BINARY(LogicalXor, true, 0, return (a != C(0)) != (b != C(0)))
PYNN_BINARY(BitAnd, !kReal<C>, 0, return static_cast<C>(a & b))
PYNN_BINARY(BitOr, !kReal<C>, 0, return static_cast<C>(a | b))
PYNN_BINARY(BitXor, !kReal<C>, 0, return static_cast<C>(a ^ b))
// By an amount outside of [0, bits): left gives 0, right what is left of the sign.
PYNN_BINARY(ShiftLeft, !kReal<C>, 0,
            return b < C(0) || b >= C(8 * sizeof(C)) ? C(0)
                                                     : static_cast<C>(static_cast<std::make_unsigned_t<C>>(a) << b))
PYNN_BINARY(ShiftRight, !kReal<C>, 0,
            return static_cast<C>(a >> (b < C(0) || b >= C(8 * sizeof(C)) ? C(8 * sizeof(C) - 1) : b)))

void map_binary_logic(Binary op, const MapArgs& args) {
  switch (op) {
    PYNN_BINARY_CASE(Eq)
    PYNN_BINARY_CASE(Ne)
    PYNN_BINARY_CASE(Lt)
    PYNN_BINARY_CASE(Le)
    PYNN_BINARY_CASE(Gt)
    PYNN_BINARY_CASE(Ge)
    PYNN_BINARY_CASE(LogicalAnd)
    PYNN_BINARY_CASE(LogicalOr)
    PYNN_BINARY_CASE(LogicalXor)
    PYNN_BINARY_CASE(BitAnd)
    PYNN_BINARY_CASE(BitOr)
    PYNN_BINARY_CASE(BitXor)
    PYNN_BINARY_CASE(ShiftLeft)
    PYNN_BINARY_CASE(ShiftRight)
    default:
      break;
  }
}

}  // namespace pynn::cuda
