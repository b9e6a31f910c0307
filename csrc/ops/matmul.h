// matmul.h -- matrix products.
#pragma once
#include "core/precision.h"
#include "ops/op.h"

namespace pynn::ops {

Tensor mm(const Tensor& a, const Tensor& b);   // [n,k] @ [k,m]
Tensor bmm(const Tensor& a, const Tensor& b);  // [b,n,k] @ [b,k,m]
Tensor matmul(const Tensor& a, const Tensor& b);
// x [..., in], weight [out, in], bias [out] or undefined; relu: max(y, 0).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu = false);

// For the files of the family. Both of one dtype that has a product, on one device; inner sizes equal.
void check_operands(const char* op, const Tensor& a, const Tensor& b);
void check_inner(const char* op, const Tensor& a, const Tensor& b, int64_t k, int64_t k2);
// c = alpha * a b + beta * c + bias; values only. a [.., n, k], b [.., k, m], c [.., n, m]: matrices, or batches of
// them; of float32 as exact as core/precision.h says, or as it may be.
void run_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const Tensor& bias, double alpha = 1, double beta = 0,
              int parts = float32_parts);

}  // namespace pynn::ops
