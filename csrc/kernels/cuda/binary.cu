// binary.cu -- arithmetic of two operands (kernels/elementwise.h).
#include "kernels/cuda/binary.cuh"

namespace pynn::cuda {
namespace {

// A divisor of 0 gives 0, of -1 the negative, which wraps around.
template <class C>
__device__ C divide(C a, C b) {
  if constexpr (kReal<C>)
    return a / b;
  else
    return b == C(0) ? C(0) : b == C(-1) ? math::subtract(C(0), a) : a / b;
}

}  // namespace

PYNN_BINARY_P1(Add, true, 0, alpha, if constexpr (kReal<C>) return math::fma(alpha, b, a);
               else return math::add(a, math::multiply(alpha, b)))
PYNN_BINARY_P1(Sub, true, 0, alpha, if constexpr (kReal<C>) return math::fma(-alpha, b, a);
               else return math::subtract(a, math::multiply(alpha, b)))
PYNN_BINARY(Mul, true, 0, return math::multiply(a, b))
PYNN_BINARY(Div, true, 0, return divide(a, b))
PYNN_BINARY(Maximum, true, 0, return Larger{}(a, b))
PYNN_BINARY(Minimum, true, 0, return Smaller{}(a, b))
PYNN_BINARY(ReluBackward, true, 0, return b > C(0) ? a : C(0))

bool map_binary(Binary op, const MapArgs& args) {
  const auto run = [&] {
    if (is_complex(args.compute)) return map_complex(op, args);
    switch (op) {
      PYNN_BINARY_CASE(Add)
      PYNN_BINARY_CASE(Sub)
      PYNN_BINARY_CASE(Mul)
      PYNN_BINARY_CASE(Div)
      PYNN_BINARY_CASE(Maximum)
      PYNN_BINARY_CASE(Minimum)
      PYNN_BINARY_CASE(ReluBackward)
      default:
        return op >= Binary::Eq && op <= Binary::ShiftRight ? map_binary_logic(op, args) : map_binary_long(op, args);
    }
  };
  run();
  return true;  // a division by zero is not looked for: that would have to wait for the device
}
PYNN_CUDA_KERNEL(map_binary);

bool binary_contiguous(Binary op, DType type, void* y, const void* a, int64_t a_step, const void* b, int64_t b_step,
                       int64_t n, const double* params) {
  MapArgs args{};
  contiguous_args(args, type, n, params);
  set_contiguous(args.operands[0], y, yields_bool(op) ? DType::Bool : type, 1);
  set_contiguous(args.operands[1], const_cast<void*>(a), type, a_step);
  set_contiguous(args.operands[2], const_cast<void*>(b), type, b_step);
  args.noperands = 3;
  return map_binary(op, args);
}
PYNN_CUDA_KERNEL(binary_contiguous);

}  // namespace pynn::cuda
