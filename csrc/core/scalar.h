// scalar.h -- a Python number: bool, int, float or complex, with the value exact.
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
  Scalar(Complex128 z) : kind_(DType::Complex128), f_(z.re), im_(z.im) {}

  DType kind() const { return kind_; }  // Bool, Int64, Float64 or Complex128
  bool is_float() const { return kind_ == DType::Float64; }
  bool is_complex() const { return kind_ == DType::Complex128; }
  bool is_bool() const { return kind_ == DType::Bool; }
  // Of a complex number that is not real: an error, as in to_int.
  double to_double() const { return is_float() ? f_ : is_complex() ? real_only() : static_cast<double>(i_); }
  int64_t to_int() const;  // a float truncates; out of range as the hardware converts
  Complex128 to_complex() const { return is_complex() ? Complex128{f_, im_} : Complex128{to_double(), 0}; }
  bool to_bool() const { return is_complex() ? f_ != 0 || im_ != 0 : is_float() ? f_ != 0 : i_ != 0; }
  bool equals(double v) const { return is_complex() ? f_ == v && im_ == 0 : to_double() == v; }
  Scalar conj() const { return is_complex() ? Scalar(Complex128{f_, -im_}) : *this; }
  Scalar operator-() const {
    if (is_complex()) return Complex128{-f_, -im_};
    return is_float() ? Scalar(-f_) : Scalar(static_cast<int64_t>(0 - static_cast<uint64_t>(i_)));
  }

 private:
  double real_only() const;

  DType kind_;
  union {
    int64_t i_;
    double f_;
  };
  double im_ = 0;
};

inline int64_t Scalar::to_int() const {
  if (is_complex()) return Scalar(real_only()).to_int();
  if (!is_float()) return i_;
  return f_ >= -0x1p63 && f_ < 0x1p63 ? static_cast<int64_t>(f_) : INT64_MIN;
}

}  // namespace pynn
