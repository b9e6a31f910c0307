// tensor_data.h -- tensors made from Python data.
#pragma once
#include <optional>

#include "python/py.h"

namespace pynn::python {

// A new tensor with the values of numbers, nested sequences of them, NumPy arrays, or objects with __dlpack__. Without a
// dtype: bool < int64 < the default dtype, and what NumPy scalars and tensors inside bring. Not for tensors.
Tensor tensor_from_data(const char* op, PyObject* data, std::optional<DType> dtype);
Tensor from_dlpack(PyObject* source);  // dlpack.cpp; shares memory

}  // namespace pynn::python
