#include "python/overrides.h"

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>

#include "core/small_vector.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

// Of this thread: modes that are on; how often classes, or classes and modes, were told to stay out.
struct Local {
  int modes = 0, no_classes = 0, nobody = 0;
};
thread_local constinit Local local{};

struct NoClasses {};
struct Nobody {};

PyObject* disabled;   // the __torch_function__ of classes that take nothing over
PyObject* take_over;  // pynn.overrides._take_over

// A class that was made in Python and has a __torch_function__, its own or Tensor's, which keeps results in the class.
bool class_asks(PyTypeObject* type) {
  if (type == TensorType || !(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) return false;
  static PyObject* const name = PyUnicode_InternFromString("__torch_function__");
  PyObject* const f = _PyType_Lookup(type, name);
  return f && f != disabled;
}
bool asks(PyObject* o) {
  if (class_asks(Py_TYPE(o))) return true;
  if (PyTuple_CheckExact(o)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i)
      if (class_asks(Py_TYPE(PyTuple_GET_ITEM(o, i)))) return true;
  } else if (PyList_CheckExact(o)) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i)
      if (class_asks(Py_TYPE(PyList_GET_ITEM(o, i)))) return true;
  }
  return false;
}
bool anybody_asks(PyObject* const* args, size_t n) {
  if (local.nobody) return false;
  if (local.modes > 0) return true;
  for (size_t i = 0; i < n && !local.no_classes; ++i)
    if (asks(args[i])) return true;
  return false;
}

Object of_tensor(const char* name) {
  return Object(checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(TensorType), name)));
}

// The names under which PyTorch tells of operators: `tensor op other`, and `number op tensor`, whose operands change
// places. Others are told of by the op's.
struct Operator {
  std::string_view op;
  const char *name, *reflected;
};
constexpr Operator kOperators[] = {{"add", "add", "add"},
                                   {"mul", "mul", "mul"},
                                   {"sub", "sub", "__rsub__"},
                                   {"div", "div", "__rtruediv__"},
                                   {"pow", "__pow__", "__rpow__"},
                                   {"floor_divide", "__floordiv__", "__rfloordiv__"},
                                   {"remainder", "remainder", "__rmod__"},
                                   {"bitwise_and", "__and__", "__rand__"},
                                   {"bitwise_or", "__or__", "__ror__"},
                                   {"bitwise_xor", "__xor__", "__rxor__"},
                                   {"bitwise_left_shift", "__lshift__", "__rlshift__"},
                                   {"bitwise_right_shift", "__rshift__", "__rrshift__"},
                                   {"eq", "__eq__", "__eq__"}};

PyObject* disabled_function(PyObject*, PyObject* args) {
  PyObject *function, *types, *given = nullptr, *keywords = nullptr;
  if (!PyArg_ParseTuple(args, "OO|OO", &function, &types, &given, &keywords)) return nullptr;
  Object none(PyTuple_New(0));
  if (!none) return nullptr;
  ++local.no_classes;
  PyObject* const result =
      PyObject_Call(function, given ? given : none.get(), keywords && PyDict_Check(keywords) ? keywords : nullptr);
  --local.no_classes;
  return result;
}
PyMethodDef disabled_def = {"_disabled_torch_function_impl", disabled_function, METH_VARARGS,
                            "As a class's __torch_function__: it takes no calls over."};

}  // namespace

PyObject* overridden(PyObject* function, PyObject* const* args, size_t nargs, PyObject* kwnames) {
  const size_t nkw = kwnames ? static_cast<size_t>(PyTuple_GET_SIZE(kwnames)) : 0;
  if (!anybody_asks(args, nargs + nkw)) return nullptr;
  Object given(checked(PyTuple_New(static_cast<Py_ssize_t>(nargs)))), keywords(checked(PyDict_New()));
  for (size_t i = 0; i < nargs; ++i) PyTuple_SET_ITEM(given.get(), static_cast<Py_ssize_t>(i), Py_NewRef(args[i]));
  for (size_t k = 0; k < nkw; ++k)
    if (PyDict_SetItem(keywords.get(), PyTuple_GET_ITEM(kwnames, static_cast<Py_ssize_t>(k)), args[nargs + k]) < 0)
      throw PythonError();
  if (!take_over) {
    Object module(checked(PyImport_ImportModule("pynn.overrides")));
    take_over = checked(PyObject_GetAttrString(module.get(), "_take_over"));
  }
  return checked(PyObject_CallFunctionObjArgs(take_over, function, given.get(), keywords.get(), nullptr));
}

PyObject* overridden_method(const char* name, PyObject* const* args, size_t nargs, PyObject* kwnames) {
  const size_t nkw = kwnames ? static_cast<size_t>(PyTuple_GET_SIZE(kwnames)) : 0;
  if (!anybody_asks(args, nargs + nkw)) return nullptr;
  return overridden(of_tensor(name).get(), args, nargs, kwnames);
}

PyObject* overridden_attribute(const char* name, PyObject* self) {
  if (!anybody_asks(&self, 1)) return nullptr;
  Object getter(checked(PyObject_GetAttrString(of_tensor(name).get(), "__get__")));
  return overridden(getter.get(), &self, 1, nullptr);
}

PyObject* overridden_operator(const char* op, PyObject* a, PyObject* b) {
  const bool turned = !is_tensor(a);
  PyObject* const operands[] = {turned ? b : a, turned ? a : b};
  for (const Operator& o : kOperators)
    if (o.op == op) return overridden_method(turned ? o.reflected : o.name, operands, 2, nullptr);
  return overridden_method(op, operands, 2, nullptr);
}

PyObject* method_or_override(const char* name, FastMethod* f, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                             PyObject* kwnames) {
  return guard([&] {
    SmallVector<PyObject*, 8> all;
    all.push_back(self);
    const Py_ssize_t n = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    for (Py_ssize_t i = 0; i < n; ++i) all.push_back(args[i]);
    PyObject* const result = overridden_method(name, all.data(), static_cast<size_t>(nargs) + 1, kwnames);
    return result ? result : f(self, args, nargs, kwnames);
  });
}

void init_overrides(PyObject* module) {
  disabled = checked(PyCFunction_New(&disabled_def, nullptr));
  PyModule_AddObjectRef(module, disabled_def.ml_name, disabled);
  PyModule_AddObjectRef(module, "_TensorMeta", reinterpret_cast<PyObject*>(Py_TYPE(TensorType)));
  auto m = py::reinterpret_borrow<py::module_>(module);
  py::class_<NoClasses>(m, "DisableTorchFunctionSubclass",
                        "A with block in which no class's __torch_function__ is asked.")
      .def(py::init<>())
      .def("__enter__", [](py::object) { ++local.no_classes; })
      .def("__exit__", [](py::object, const py::args&) { --local.no_classes; });
  py::class_<Nobody>(m, "DisableTorchFunction", "A with block in which neither classes nor modes are asked.")
      .def(py::init<>())
      .def("__enter__", [](py::object) { ++local.nobody; })
      .def("__exit__", [](py::object, const py::args&) { --local.nobody; });
  m.def(
      "_overriding_class", [](py::type cls) { overriding += class_asks(reinterpret_cast<PyTypeObject*>(cls.ptr())); },
      "Tells of a new class of tensors.");
  m.def(
      "_overriding_modes",
      [](int more) {
        local.modes += more;
        overriding += more;
      },
      "Tells of so many more modes that are on in this thread.");
  m.def(
      "_asks", [](py::handle o) { return !local.nobody && !local.no_classes && asks(o.ptr()); },
      "Whether the object's class, or that of one of a list, has a __torch_function__ that would be asked.");
  m.def("_modes_on", [] { return local.nobody ? 0 : local.modes; }, "How many modes are on in this thread.");
  m.def("_classes_on", [] { return !local.nobody && !local.no_classes; }, "Whether classes are asked in this thread.");
}

}  // namespace pynn::python
