// caster.h -- lets pybind11 functions take and return Tensor.
#pragma once
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/py.h"

namespace pybind11::detail {

template <>
struct type_caster<pynn::Tensor> {
  PYBIND11_TYPE_CASTER(pynn::Tensor, const_name("Tensor"));
  bool load(handle src, bool) {
    if (!pynn::python::is_tensor(src.ptr())) return false;
    value = pynn::python::tensor_of(src.ptr());
    return true;
  }
  static handle cast(const pynn::Tensor& t, return_value_policy, handle) { return pynn::python::wrap(t); }
};

}  // namespace pybind11::detail
