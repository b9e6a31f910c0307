// arguments.h -- the arguments of functions that are bound by hand.
#pragma once
#include <initializer_list>
#include <optional>
#include <vector>

#include "python/py.h"

namespace pynn::python {

// A function's parameters in order: the first `positional` may be given by place, the first `required` must be given.
class Parameters {
 public:
  Parameters(const char* function, std::initializer_list<const char*> names, size_t positional, size_t required = 0);
  // out[i]: a borrowed reference, or nullptr when absent. TypeError as the interpreter words it.
  void parse(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, PyObject** out) const;
  const char* function() const { return function_; }

 private:
  const char* function_;
  std::vector<PyObject*> keys_;  // interned
  size_t positional_, required_;
};

// nullptr and None mean absent; TypeError for anything of another type.
std::optional<DType> dtype_arg(const char* function, PyObject* o);
std::optional<Device> device_arg(const char* function, PyObject* o);
MemoryFormat format_arg(const char* function, PyObject* o,
                        MemoryFormat fallback);  // nullptr means absent, None is none
bool bool_arg(const char* function, const char* name, PyObject* o, bool fallback = false);

// Adds functions to the module, methods to the Tensor type. The tables live as long as the process.
void add_functions(PyObject* module, PyMethodDef* table);
void add_methods(PyMethodDef* table);

#define PYNN_FASTCALL(fn) reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fn)), METH_FASTCALL | METH_KEYWORDS

}  // namespace pynn::python
