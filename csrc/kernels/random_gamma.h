// random_gamma.h -- how gamma and beta samples move with their parameters.
#pragma once
#include <cstdint>

#include "kernels/stub.h"

namespace pynn {

// d x / d a of x ~ Gamma(a, 1) at a fixed quantile: - (dF/da) / (dF/dx). n contiguous elements.
PYNN_KERNEL(void, gamma_slope, (double* slope, const double* a, const double* x, int64_t n));
// d x / d a of x ~ Beta(a, total - a) at a fixed quantile, divided by 1 - x.
PYNN_KERNEL(void, beta_slope, (double* slope, const double* x, const double* a, const double* total, int64_t n));

}  // namespace pynn
