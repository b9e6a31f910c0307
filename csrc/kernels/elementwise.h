// elementwise.h -- unary, binary and ternary maps over up to four strided operands of any dtype.
//
// One engine: the result's index space is cut into chunks that fit the L1 cache; each operand that is not already
// contiguous in the compute type is gathered and converted into a scratch buffer (a scalar is splatted once), one
// contiguous vector loop runs, and the result is converted and scattered. So an operation is one loop per compute
// type, and promotion, broadcasting, strides and half types cost no further code.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/limits.h"
#include "kernels/stub.h"

namespace pynn {

struct Operand {
  void* data;
  DType dtype;
  bool host;  // CUDA only: one element in host memory, strides 0, of type `compute` (map_copy: the result's)
  int64_t strides[kMaxDims];  // in elements; 0 along broadcast dims
};

// operands[0] is the result. Dims are outermost first, already coalesced and ordered by the caller
// (elementwise_plan.h), sizes all >= 1 when numel > 0. The result may be the same memory as an operand in the same
// layout; any other overlap must be resolved by the caller.
struct MapArgs {
  int ndim;
  int64_t sizes[kMaxDims];
  int64_t numel;
  int noperands;
  Operand operands[4];
  DType compute;       // type of the loop: Float32, Float64, Int32, Int64 (narrow integers compute in Int32 and wrap),
                       // Complex64 or Complex128
  double params[4];    // alpha, beta, negative_slope ...: meaning is the op's; a complex one takes two
  int64_t iparams[2];  // the same for compute type Int64, whose values a double cannot hold
};

enum class Unary : uint8_t {
  Copy,
  Neg,
  Abs,
  Sign,
  Square,
  Sqrt,
  Rsqrt,
  Reciprocal,
  Exp,
  Exp2,
  Expm1,
  Log,
  Log2,
  Log10,
  Log1p,
  Sin,
  Cos,
  Tan,
  Asin,
  Acos,
  Atan,
  Sinh,
  Cosh,
  Tanh,
  Asinh,
  Acosh,
  Atanh,
  Erf,
  Erfc,
  Floor,
  Ceil,
  Round,
  Trunc,
  Frac,
  Sigmoid,
  Relu,
  Gelu,
  GeluTanh,
  Silu,
  Mish,
  LeakyRelu,
  Elu,
  Threshold,
  Softshrink,
  Softplus,
  Hardsigmoid,
  Hardswish,
  NanToNum,
  BitNot,
  LogicalNot,
  IsNan,
  IsInf,
  IsFinite,  // all but the first yield bool
  Clamp,
  Conj,   // of complex numbers
  Angle,  // of real ones 0, pi below 0, or NaN
  Count
};
// params: LeakyRelu {slope}; Elu {factor below 0, factor above, factor of x in exp}; Threshold {low, high, value
// between them}; Softshrink {lambda}; Softplus {beta, threshold}; Clamp {min, max} (NaN gives NaN); NanToNum {nan,
// posinf, neginf}. Complex numbers have the functions from Neg to Atanh, Sigmoid, Conj, Angle and those that yield
// bool. Sign is z / |z|; Abs and Angle give a complex number whose imaginary part is 0. Integers have Copy, Neg, Abs,
// Sign, Square, Relu, Clamp, BitNot, LogicalNot and the roundings (which copy).
constexpr bool yields_bool(Unary op) { return op >= Unary::LogicalNot && op <= Unary::IsFinite; }

enum class Binary : uint8_t {
  Add,
  Sub,
  Mul,
  Div,
  FloorDiv,
  Remainder,
  Fmod,
  Pow,
  Maximum,
  Minimum,
  Atan2,
  Prelu,  // x > 0 ? x : w * x
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  LogicalAnd,
  LogicalOr,
  LogicalXor,
  BitAnd,
  BitOr,
  BitXor,
  ShiftLeft,
  ShiftRight,
  // Backward maps: first operand the gradient.
  TanhBackward,     // g * (1 - y*y)
  SigmoidBackward,  // g * y * (1 - y)
  ReluBackward,     // y > 0 ? g : 0
  GeluBackward,
  GeluTanhBackward,
  SiluBackward,
  MishBackward,
  LeakyReluBackward,
  EluBackward,
  ThresholdBackward,    // low <= x <= high ? 0 : g
  HardtanhBackward,     // low < x < high ? g : 0
  SoftplusBackward,     // of x
  HardsigmoidBackward,  // the same
  HardswishBackward,
  Count
};
// params: Add, Sub {alpha} as a + alpha*b; backward maps as their forward.
// Integers: everything wraps around. Div cuts towards zero, FloorDiv and Remainder take the divisor's sign, Pow with a
// negative exponent is 1/a cut to an integer, shifts by less than 0 or by the width or more give 0 (right: the sign).
// Bit operations and shifts have no floating-point form, Atan2 and backward maps (but ReluBackward) no integer one.
// Complex numbers have Add to Div, Pow, Eq, Ne and the logical ones; of three operands all but Clamp.
constexpr bool yields_bool(Binary op) { return op >= Binary::Eq && op <= Binary::LogicalXor; }

enum class Ternary : uint8_t {
  Where,    // cond ? a : b; cond read as nonzero in the compute type
  Addcmul,  // a + value*b*c
  Addcdiv,  // a + value*b/c
  Lerp,     // a + w*(b - a), w third operand, by the formula that is exact at both ends
  Clamp,    // min(max(x, lo), hi), NaN of any operand wins
  Count
};

PYNN_KERNEL(void, map_unary, (Unary op, const MapArgs& args));
// False: some integer was divided by zero (Div, FloorDiv, Remainder, Fmod), those results are 0.
PYNN_KERNEL(bool, map_binary, (Binary op, const MapArgs& args));
PYNN_KERNEL(void, map_ternary, (Ternary op, const MapArgs& args));
// Cast and copy between any two layouts and dtypes (operands[0] <- operands[1]); any dtype, complex included.
PYNN_KERNEL(void, map_copy, (const MapArgs& args));

// The usual case, without a plan: n contiguous elements, all operands of type `type` in {Float32, Float64, Int64,
// Int32}, but bool results where yields_bool(op); a or b may be a single element (a_step/b_step 0). y may be a or b.
// `params` as in MapArgs, null where the op has none or (Add, Sub) alpha is 1; values that a double cannot hold need
// map_unary or map_binary. On CUDA all memory is the device's.
PYNN_KERNEL(void, unary_contiguous, (Unary op, DType type, void* y, const void* x, int64_t n, const double* params));
PYNN_KERNEL(bool, binary_contiguous,
            (Binary op, DType type, void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n,
             const double* params));

}  // namespace pynn
