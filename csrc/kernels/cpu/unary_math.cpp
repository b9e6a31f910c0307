// unary_math.cpp -- elementary functions of one operand.
#include "kernels/cpu/loops_impl.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {

#define PYNN_MATH(op, function)    \
  PYNN_UNARY_LONG(op, function(x)) \
  PYNN_FLOAT_LOOPS(PYNN_UNARY_LOOP, op)

PYNN_MATH(Exp, exp)
PYNN_MATH(Exp2, exp2)
PYNN_MATH(Expm1, expm1)
PYNN_MATH(Log, log)
PYNN_MATH(Log2, log2)
PYNN_MATH(Log10, log10)
PYNN_MATH(Log1p, log1p)
PYNN_MATH(Sin, sin)
PYNN_MATH(Cos, cos)
PYNN_MATH(Tan, tan)
PYNN_MATH(Asin, asin)
PYNN_MATH(Acos, acos)
PYNN_MATH(Atan, atan)
PYNN_MATH(Sinh, sinh)
PYNN_MATH(Cosh, cosh)
PYNN_MATH(Tanh, tanh)
PYNN_MATH(Asinh, asinh)
PYNN_MATH(Acosh, acosh)
PYNN_MATH(Atanh, atanh)
PYNN_MATH(Erf, erf)
PYNN_MATH(Erfc, erfc)

}  // namespace PYNN_CPU_NAMESPACE
