// overrides.h -- __torch_function__: classes of tensors, and modes, that take over calls. pynn/overrides.py does what
// they ask for; here is found out whether any of them is asked.
#pragma once
#include <atomic>

#include "python/py.h"

namespace pynn::python {

// Classes with a __torch_function__ that were made so far, and modes that are on in some thread. Each call costs one
// load while there are none.
inline std::atomic<int> overriding{0};

// The result of whoever takes over the call of `function`; nullptr without an error if nobody does.
PyObject* overridden(PyObject* function, PyObject* const* args, size_t nargs, PyObject* kwnames);
// The same of Tensor's method, operator or attribute of that name.
PyObject* overridden_method(const char* name, PyObject* const* args, size_t nargs, PyObject* kwnames);
PyObject* overridden_attribute(const char* name, PyObject* self);
PyObject* overridden_operator(const char* op, PyObject* a, PyObject* b);  // a may be the number of the two

inline bool may_be_overridden() { return overriding.load(std::memory_order_relaxed) != 0; }

// A method of Tensor that is written for the interpreter's fast calls.
#define PYNN_OVERRIDABLE(name, f)                                                                 \
  (+[](PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) -> PyObject* { \
    return may_be_overridden() ? method_or_override(name, f, self, args, nargs, kwnames)          \
                               : f(self, args, nargs, kwnames);                                   \
  })
using FastMethod = PyObject*(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);
PyObject* method_or_override(const char* name, FastMethod* f, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                             PyObject* kwnames);

void init_overrides(PyObject* module);

}  // namespace pynn::python
