// node_type.h -- graph nodes as Python sees them (tensor.grad_fn).
#pragma once
#include "autograd/node.h"
#include "python/py.h"

namespace pynn::python {

PyObject* wrap_node(const Ref<Node>& node);  // None for an empty one; the same object as long as it lives
void init_node_type(PyObject* module);

}  // namespace pynn::python
