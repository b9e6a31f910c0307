// matmul.h -- matrix products.
#pragma once
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
// c = alpha * a b + beta * c + bias, or at least 0 (relu); values only. a [.., n, k], b [.., k, m], c [.., n, m]:
// matrices, or batches of them.
void run_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const Tensor& bias, double alpha = 1, double beta = 0,
              bool relu = false);

}  // namespace pynn::ops
