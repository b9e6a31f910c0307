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
  int64_t strides[kMaxDims];  // in elements; 0 along broadcast dims
};

// operands[0] is the result. Dims are outermost first, already coalesced and ordered by the caller
// (kernels/elementwise.cpp: plan()), sizes all >= 1 when numel > 0.
struct MapArgs {
  int ndim;
  int64_t sizes[kMaxDims];
  int64_t numel;
  int noperands;
  Operand operands[4];
  DType compute;     // type of the loop: Float32, Float64, Int32 or Int64 (narrow integers compute in Int32 and wrap)
  double params[4];  // alpha, beta, negative_slope ...: meaning is the op's
  int64_t iparams[2];
};

enum class Unary : uint8_t {
  Copy, Neg, Abs, Sign, Square, Sqrt, Rsqrt, Reciprocal, Exp, Exp2, Expm1, Log, Log2, Log10, Log1p,
  Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh, Erf, Erfc,
  Floor, Ceil, Round, Trunc, Frac, Sigmoid, Relu, Gelu, GeluTanh, Silu, LeakyRelu, Elu, Softplus,
  BitNot, LogicalNot, IsNan, IsInf, IsFinite, Clamp,
  Count
};
// params: LeakyRelu {slope}; Elu {alpha}; Softplus {beta, threshold}; Clamp {min, max} (for Int64: iparams).
// LogicalNot, IsNan ... yield 0/1 in the compute type; the result operand may be Bool.

enum class Binary : uint8_t {
  Add, Sub, Mul, Div, FloorDiv, Remainder, Fmod, Pow, Maximum, Minimum, Atan2,
  Eq, Ne, Lt, Le, Gt, Ge, LogicalAnd, LogicalOr, LogicalXor, BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight,
  // Backward maps: first operand the gradient.
  TanhBackward,        // g * (1 - y*y)
  SigmoidBackward,     // g * y * (1 - y)
  ReluBackward,        // y > 0 ? g : 0
  GeluBackward, GeluTanhBackward, SiluBackward, LeakyReluBackward, EluBackward, SoftplusBackward,  // of x
  Count
};
// params: Add, Sub {alpha} as a + alpha*b (Int64: iparams[0]); backward maps as their forward.

enum class Ternary : uint8_t {
  Where,    // cond ? a : b; cond read as nonzero in the compute type
  Addcmul,  // a + value*b*c
  Addcdiv,  // a + value*b/c
  Lerp,     // a + w*(b - a), w third operand, by the formula that is exact at both ends
  Clamp,    // min(max(x, lo), hi), NaN of any operand wins
  Count
};

PYNN_KERNEL(void, map_unary, (Unary op, const MapArgs& args));
PYNN_KERNEL(void, map_binary, (Binary op, const MapArgs& args));
PYNN_KERNEL(void, map_ternary, (Ternary op, const MapArgs& args));
// Cast and copy between any two layouts and dtypes (operands[0] <- operands[1]); any dtype, complex included.
PYNN_KERNEL(void, map_copy, (const MapArgs& args));

// The usual case, without a plan: n contiguous elements, all operands of type `type` in {Float32, Float64, Int64,
// Int32}; a or b may be a single element (a_step/b_step 0).
PYNN_KERNEL(void, unary_contiguous, (Unary op, DType type, void* y, const void* x, int64_t n, const double* params));
PYNN_KERNEL(void, binary_contiguous, (Binary op, DType type, void* y, const void* a, int64_t a_step, const void* b,
                                      int64_t b_step, int64_t n, const double* params));

}  // namespace pynn
