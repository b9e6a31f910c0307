// scalar.h -- a Python number: bool, int or float, with the value exact.
#pragma once
#include <cstdint>

#include "core/dtype.h"

namespace pynn {

class Scalar {
 public:
  Scalar() : Scalar(int64_t{0}) {}
  Scalar(bool b) : kind_(DType::Bool), i_(b) {}
  Scalar(int i) : Scalar(int64_t{i}) {}
  Scalar(int64_t i) : kind_(DType::Int64), i_(i) {}
  Scalar(double f) : kind_(DType::Float64), f_(f) {}

  DType kind() const { return kind_; }  // Bool, Int64 or Float64
  bool is_float() const { return kind_ == DType::Float64; }
  bool is_bool() const { return kind_ == DType::Bool; }
  double to_double() const { return is_float() ? f_ : static_cast<double>(i_); }
  int64_t to_int() const;  // a float truncates; out of range as the hardware converts
  bool to_bool() const { return is_float() ? f_ != 0 : i_ != 0; }
  bool equals(double v) const { return to_double() == v; }
  Scalar operator-() const {
    return is_float() ? Scalar(-f_) : Scalar(static_cast<int64_t>(0 - static_cast<uint64_t>(i_)));
  }

 private:
  DType kind_;
  union {
    int64_t i_;
    double f_;
  };
};

inline int64_t Scalar::to_int() const {
  if (!is_float()) return i_;
  return f_ >= -0x1p63 && f_ < 0x1p63 ? static_cast<int64_t>(f_) : INT64_MIN;
}

}  // namespace pynn
