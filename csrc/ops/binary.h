// binary.h -- arithmetic, comparison and logic of two operands, each a tensor or a number.
#pragma once
#include "kernels/elementwise.h"
#include "ops/op.h"

namespace pynn::ops {

Tensor add(Other a, Other b, Scalar alpha = 1);  // a + alpha * b
Tensor sub(Other a, Other b, Scalar alpha = 1);
Tensor mul(Other a, Other b);
Tensor div(Other a, Other b);  // true division
Tensor floor_divide(Other a, Other b);
Tensor trunc_divide(Other a, Other b);
Tensor remainder(Other a, Other b);  // sign of the divisor
Tensor fmod(Other a, Other b);       // sign of the dividend
Tensor pow(Other a, Other b);
Tensor maximum(Other a, Other b);
Tensor minimum(Other a, Other b);
Tensor atan2(Other a, Other b);
Tensor compare(const char* name, Binary op, Other a, Other b, DType result = DType::Bool);
Tensor eq(Other a, Other b);
Tensor ne(Other a, Other b);
Tensor lt(Other a, Other b);
Tensor le(Other a, Other b);
Tensor gt(Other a, Other b);
Tensor ge(Other a, Other b);
Tensor logical_and(Other a, Other b);
Tensor logical_or(Other a, Other b);
Tensor logical_xor(Other a, Other b);
Tensor bitwise_and(Other a, Other b);
Tensor bitwise_or(Other a, Other b);
Tensor bitwise_xor(Other a, Other b);
Tensor bitwise_left_shift(Other a, Other b);
Tensor bitwise_right_shift(Other a, Other b);

// In place on a; all return a.
Tensor add_(const Tensor& a, Other b, Scalar alpha = 1);
Tensor sub_(const Tensor& a, Other b, Scalar alpha = 1);
Tensor mul_(const Tensor& a, Other b);
Tensor div_(const Tensor& a, Other b);

// g times a function of the forward's result or input: the maps under "Backward maps" in kernels/elementwise.h.
Tensor map_backward(Binary op, const Tensor& g, const Tensor& saved, double p0 = 0, double p1 = 0, double p2 = 0);
// The same for a derivative that is its node's only one: into g's memory where nobody else can see it.
Tensor map_backward_over(Binary op, const Tensor& g, const Tensor& saved, double p0 = 0, double p1 = 0, double p2 = 0);

inline Tensor operator+(Other a, Other b) { return add(a, b); }
inline Tensor operator-(Other a, Other b) { return sub(a, b); }
inline Tensor operator*(Other a, Other b) { return mul(a, b); }
inline Tensor operator/(Other a, Other b) { return div(a, b); }

// PyTorch's result type: dimensioned tensors first, then 0-d tensors, then numbers, each only if of a higher category.
DType result_type(Other a, Other b);

// The type of a tensor of such numbers.
DType number_dtype(Scalar s);

// Integer division by zero is an error, not a trap; dividing nothing is fine.
void check_zero_division(const char* op, const Tensor& y, Other b);

// g times the conjugate: what a derivative multiplies by, since gradients of complex numbers are conjugate ones.
Tensor mul_conj(const Tensor& g, Other factor);

// The rules of add and sub about bool operands and alpha.
void check_subtraction(const char* op, Other a, Other b);
void check_alpha(const char* op, Scalar alpha, DType t);

// t itself, of an op that PyTorch has for numbers only: bool is refused.
DType number_type(const char* op, DType t);

// t itself, of an op that has no meaning, or no loop, for complex numbers.
DType real_type(const char* op, DType t);

// Plans and runs one map; operands must broadcast to out's shape. Values only. `type` is the operands' common type:
// the loop runs in compute_type(type), and numbers and 0-d tensors wrap to a narrow integer type, as in PyTorch.
void run_unary(Unary op, const Tensor& out, const Tensor& x, DType type, const double* params = nullptr,
               const int64_t* iparams = nullptr);
void run_binary(Binary op, const Tensor& out, Other a, Other b, DType type, const double* params = nullptr,
                const int64_t* iparams = nullptr);
void run_ternary(Ternary op, const Tensor& out, Other a, Other b, Other c, DType type, const double* params = nullptr);
// The loop type for a result type: Float32, Float64, Int32, Int64, Complex64 or Complex128.
DType compute_type(DType t);

}  // namespace pynn::ops
