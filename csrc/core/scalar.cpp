#include "core/scalar.h"

#include "core/error.h"

namespace pynn {

double Scalar::real_only() const {
  PYNN_CHECK(im_ == 0, "value cannot be converted to type double without overflow: a real number is required, got ", f_,
             im_ < 0 ? " - " : " + ", im_ < 0 ? -im_ : im_, "j");
  return f_;
}

}  // namespace pynn
