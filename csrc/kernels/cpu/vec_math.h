// vec_math.h -- elementary functions of Vec<float> and Vec<double>, named as in <math.h>, and sigmoid.
//
// Special values are C99's: NaN gives NaN; zeros, infinities, subnormal arguments and subnormal results are right. All
// arguments are allowed. Largest errors found, in ULP: float against double over every 17th of all 2^32 arguments or
// more, double against long double over millions of mixed ones, with FMA or without (held by
// tests/ops/test_vector_math.py).
//
//             exp  exp2  expm1  log  log2  log10  log1p  tanh  sigmoid  erf  erfc  sin  cos  tan  sinh  cosh
//   float     1.1   1.1    1.7  0.9   1.4    0.7    0.9   1.4      1.8  1.5   1.6  1.6  1.6  2.0   1.7   1.5
//   double    1.1   1.3    2.0  0.9   1.3    0.8    0.9   1.4      1.7  1.3   2.0  1.5  1.5  1.8   1.8   1.5
//
//             asin  acos  atan  atan2  asinh  acosh  atanh  pow
//   float      1.3   1.3   1.4    1.6    1.8    1.7    1.8  0.6
//   double     1.3   1.3   1.7    1.9    1.8    1.9    1.8  0.9   (pow: 0.65 up to e^100)
//
// The polynomials are minimax ones (Remez), their errors relative to the result below 2^-27 (double: 2^-57).
#pragma once
#include "kernels/cpu/vec_exp.h"
#include "kernels/cpu/vec_special.h"
#include "kernels/cpu/vec_trig.h"
