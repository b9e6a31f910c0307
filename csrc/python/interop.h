// interop.h -- tensors from and to Python's own data: numbers, nested lists, buffers, NumPy, DLPack, indices.
#pragma once
#include <optional>

#include "core/thread_state.h"
#include "python/py.h"

namespace pynn::python {

// tensor_data.cpp
PyObject* item(const Tensor& t);    // the one element as a Python number
PyObject* tolist(const Tensor& t);  // nested lists
Tensor tensor_from(PyObject* data, std::optional<DType> dtype, Device device);  // always a copy
PyObject* legacy_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);     // Tensor(2, 3), Tensor([1., 2.])

// buffer.cpp
Tensor from_buffer(PyObject* o, bool writable);  // shares the memory of an object with the buffer protocol
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);

// index.cpp
Tensor get_item(const Tensor& t, PyObject* index);  // t[index]
void set_item(const Tensor& t, PyObject* index, PyObject* value);

// conversions.cpp
Tensor to_device(const Tensor& t, Device device);
extern PyMethodDef tensor_methods[];
void init_interop(PyObject* module);

// tensor_type.cpp
PyObject* wrap_as(PyTypeObject* type, Tensor t);  // a wrapper of a subclass; t must have none yet
void set_requires_grad(const Tensor& t, bool on);

void init_random(PyObject* module);  // bind_random.cpp

}  // namespace pynn::python
