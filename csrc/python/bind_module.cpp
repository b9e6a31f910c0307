// bind_module.cpp -- what nn.Module needs of the interpreter.
#include <pybind11/pybind11.h>

#include "python/hooks.h"

namespace py = pybind11;

namespace pynn::python {

void init_module_support(PyObject* m) {
  auto module = py::reinterpret_borrow<py::module_>(m);
  // A class that defines __getattr__ looks every attribute up through Python-level machinery on 3.10 and 3.11. Modules
  // keep their members as instance attributes, so the plain lookup finds all there is; __getattr__ stays callable as
  // super().__getattr__ in subclasses that define their own.
  module.def("_use_plain_getattr", [](py::type cls) {
    auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
    type->tp_getattro = PyObject_GenericGetAttr;
    PyType_Modified(type);
  });
}

}  // namespace pynn::python
