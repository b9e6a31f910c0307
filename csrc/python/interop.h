// interop.h -- tensors from and to Python's own data: numbers, nested lists, buffers, NumPy, DLPack, indices.
#pragma once
#include "python/py.h"

namespace pynn::python {

PyObject* item(const Tensor& t);                                             // the one element as a Python number
PyObject* legacy_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);  // Tensor(2, 3), Tensor([1., 2.])
Tensor get_item(const Tensor& t, PyObject* index);                           // t[index]
void set_item(const Tensor& t, PyObject* index, PyObject* value);
Tensor alias_view(const Tensor& t);  // the same elements as a view; recorded
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);
PyObject* wrap_as(PyTypeObject* type, Tensor t);  // a wrapper of a subclass; t must have none yet
void set_requires_grad(const Tensor& t, bool on);
void init_interop(PyObject* module);  // calls the four below
void init_tensor_data(PyObject* module);
void init_buffer(PyObject* module);
void init_dlpack(PyObject* module);
void init_convert();
void init_random(PyObject* module);  // bind_random.cpp

}  // namespace pynn::python
