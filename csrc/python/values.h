// values.h -- elements as Python numbers, Python numbers as elements.
#pragma once
#include <optional>

#include "python/py.h"

namespace pynn::python {

PyObject* to_python(const void* element, DType type);  // bool, int, float or complex
PyObject* tolist(const Tensor& t);                     // nested lists; a number for a 0-d tensor

// Any number, also NumPy's and one-element tensors. TypeError for other objects, ValueError for ints beyond int64,
// RuntimeError for values that the type cannot hold.
void store_number(const char* op, void* element, DType type, PyObject* number);
// items[0 .. n) of a list or tuple.
void store_items(const char* op, void* elements, DType type, PyObject* sequence, Py_ssize_t n);

// The dtype that tensor() gives the number: bool, int64, the default dtype, or that of a NumPy scalar or tensor;
// nothing for an object that is no number.
std::optional<DType> number_type(PyObject* o);

}  // namespace pynn::python
