// complex.h -- complex numbers and their parts. A real tensor is its own real part and conjugate.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor conj(const Tensor& x);  // a copy: nothing is conjugated lazily
Tensor real(const Tensor& x);  // a view
Tensor imag(const Tensor& x);  // a view; of complex tensors only
Tensor make_complex(const Tensor& re, const Tensor& im);
Tensor sgn(const Tensor& x);  // x / |x|, 0 at 0
Tensor angle(const Tensor& x);
Tensor view_as_real(const Tensor& x);     // [...] complex as [..., 2] real
Tensor view_as_complex(const Tensor& x);  // the reverse

}  // namespace pynn::ops
