#include "core/dtype.h"

#include <algorithm>

namespace pynn {

const char* dtype_name(DType t) {
  static constexpr const char* names[kDTypes] = {"bool",    "uint8",   "int8",      "int16",
                                                 "int32",   "int64",   "float16",   "bfloat16",
                                                 "float32", "float64", "complex64", "complex128"};
  return names[static_cast<int>(t)];
}

// The higher of the two in the enum's order, but for three pairs that neither side can hold.
DType promote(DType a, DType b) {
  const auto [low, high] = std::minmax(a, b);
  if (low == DType::UInt8 && high == DType::Int8) return DType::Int16;
  if (low == DType::Float16 && high == DType::BFloat16) return DType::Float32;
  if (low == DType::Float64 && high == DType::Complex64) return DType::Complex128;
  return high;
}

}  // namespace pynn
