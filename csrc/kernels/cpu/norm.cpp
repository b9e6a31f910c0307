// norm.cpp -- layer normalisation of rows [rows, n], forward and backward: see norm_rows.h.
#include "kernels/cpu/norm_rows.h"

namespace PYNN_CPU_NAMESPACE {

void layer_norm_forward(const LayerNormArgs& a) {
  if (!is_floating(a.dtype)) no_loop("layer_norm", a.dtype);
  a.dtype == DType::Float64 ? norm_rows_forward<double>(a, 1) : norm_rows_forward<float>(a, 1);
}

void layer_norm_backward(const LayerNormArgs& a) {
  if (!is_floating(a.dtype)) no_loop("layer_norm", a.dtype);
  a.dtype == DType::Float64 ? norm_rows_backward<double>(a, 1) : norm_rows_backward<float>(a, 1);
}

}  // namespace PYNN_CPU_NAMESPACE
