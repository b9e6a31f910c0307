#include "python/arguments.h"

namespace pynn::python {

Parameters::Parameters(const char* function, std::initializer_list<const char*> names, size_t positional,
                       size_t required)
    : function_(function), positional_(positional), required_(required) {
  for (const char* name : names) keys_.push_back(checked(PyUnicode_InternFromString(name)));
}

void Parameters::parse(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, PyObject** out) const {
  const size_t given = static_cast<size_t>(nargs);
  if (given > positional_)
    fail(ErrorKind::Type, function_, "() takes ", positional_, " positional argument", positional_ == 1 ? "" : "s",
         " but ", given, " were given");
  for (size_t i = 0; i < keys_.size(); ++i) out[i] = i < given ? args[i] : nullptr;
  const Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  for (Py_ssize_t k = 0; k < nkw; ++k) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, k);
    size_t i = 0;
    while (i < keys_.size() && keys_[i] != name) ++i;
    if (i == keys_.size())  // not interned
      for (i = 0; i < keys_.size() && PyUnicode_Compare(keys_[i], name) != 0;) ++i;
    if (i == keys_.size())
      fail(ErrorKind::Type, function_, "() got an unexpected keyword argument '", PyUnicode_AsUTF8(name), "'");
    if (out[i]) fail(ErrorKind::Type, function_, "() got multiple values for argument '", PyUnicode_AsUTF8(name), "'");
    out[i] = args[given + static_cast<size_t>(k)];
  }
  for (size_t i = 0; i < required_; ++i)
    if (!out[i]) fail(ErrorKind::Type, function_, "() missing required argument: '", PyUnicode_AsUTF8(keys_[i]), "'");
}

std::optional<DType> dtype_arg(const char* function, PyObject* o) {
  if (!o || o == Py_None) return {};
  if (!is_dtype(o))
    fail(ErrorKind::Type, function, "(): argument 'dtype' must be torch.dtype, not ", Py_TYPE(o)->tp_name);
  return dtype_of(o);
}

std::optional<Device> device_arg(const char* function, PyObject* o) {
  if (!o || o == Py_None) return {};
  if (!is_device_like(o) && !PyLong_Check(o))
    fail(ErrorKind::Type, function, "(): argument 'device' must be torch.device, not ", Py_TYPE(o)->tp_name);
  return device_of(o);
}

MemoryFormat format_arg(const char* function, PyObject* o, MemoryFormat fallback) {
  if (!o) return fallback;
  if (!is_format(o))
    fail(ErrorKind::Type, function, "(): argument 'memory_format' must be torch.memory_format, not ",
         Py_TYPE(o)->tp_name);
  return format_of(o);
}

bool bool_arg(const char* function, const char* name, PyObject* o, bool fallback) {
  if (!o) return fallback;
  if (!PyBool_Check(o) && !PyLong_Check(o))
    fail(ErrorKind::Type, function, "(): argument '", name, "' must be bool, not ", Py_TYPE(o)->tp_name);
  return PyObject_IsTrue(o) == 1;
}

void add_functions(PyObject* module, PyMethodDef* table) {
  if (PyModule_AddFunctions(module, table) < 0) throw PythonError();
}

void add_methods(PyMethodDef* table) {
  for (PyMethodDef* m = table; m->ml_name; ++m) {
    Object method(checked(PyDescr_NewMethod(TensorType, m)));
    if (PyObject_SetAttrString(reinterpret_cast<PyObject*>(TensorType), m->ml_name, method.get()) < 0)
      throw PythonError();
  }
}

}  // namespace pynn::python
