// matmul.h -- matrix products.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor mm(const Tensor& a, const Tensor& b);   // [n,k] @ [k,m]
Tensor bmm(const Tensor& a, const Tensor& b);  // [b,n,k] @ [b,k,m]
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);  // x [..., in], weight [out, in], bias [out] or undefined

}  // namespace pynn::ops
