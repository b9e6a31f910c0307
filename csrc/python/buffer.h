// buffer.h -- tensors over memory that other objects own.
#pragma once
#include "python/py.h"

namespace pynn::python {

bool is_ndarray(PyObject* o);
// A tensor that shares the array's memory and keeps it alive. `shares`: the caller hands the memory on, so a warning
// is due for arrays that must not be written to.
Tensor from_ndarray(PyObject* array, bool shares);

}  // namespace pynn::python
