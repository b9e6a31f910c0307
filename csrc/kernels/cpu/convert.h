// convert.h -- casts of two-dimensional pieces of memory between any two dtypes and layouts.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {

// Strides in elements: of a step to the next row, and to the next column.
struct Strides {
  int64_t row, col;
};
using Convert = void (*)(void* dst, Strides d, const void* src, Strides s, int64_t rows, int64_t cols);

Convert converter(DType to, DType from);

}  // namespace PYNN_CPU_NAMESPACE
