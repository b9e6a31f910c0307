// hooks.h -- removable handles, and the parts of the autograd binding.
#pragma once
#include <functional>

#include "autograd/node.h"
#include "python/py.h"

namespace pynn::python {

PyObject* make_handle(std::function<void()> remove);  // an object with remove(), also a context manager
PyObject* function_context(Node* node);               // the ctx of a custom Function's node (borrowed), else nullptr
void init_autograd(PyObject* module);
void init_function(PyObject* module);
void init_module_support(PyObject* module);
void init_optim(PyObject* module);
void init_cuda_library(PyObject* module);  // bind_cuda_library.cpp, in a build with CUDA
void init_cuda(PyObject* module);          // bind_cuda.cpp, in a build with CUDA
// A copy in page-locked memory, with requires_grad as it was; null in a build without CUDA (bind_cuda.cpp).
extern Tensor (*pin_memory)(const Tensor& x);
// pin_memory=True of a function that makes a tensor: pinned where there is a device, else as it is.
Tensor pinned_if_asked(const Tensor& x, PyObject* pin);

}  // namespace pynn::python
