#include "python/py.h"

#include <pybind11/pybind11.h>

#include <chrono>
#include <new>
#include <thread>

namespace pynn::python {

PyObject *ShapeError, *OutOfMemoryError;

void sleep_for_ever() noexcept {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

void init_errors(PyObject* module) {
  Object bases(Py_BuildValue("(OO)", PyExc_RuntimeError, PyExc_ValueError));
  ShapeError =
      checked(PyErr_NewExceptionWithDoc("pynn.ShapeError", "Shapes that do not fit together.", bases.get(), nullptr));
  OutOfMemoryError = checked(PyErr_NewExceptionWithDoc("pynn.OutOfMemoryError",
                                                       "No memory for a tensor; everything that exists stays usable.",
                                                       PyExc_RuntimeError, nullptr));
  PyModule_AddObjectRef(module, "ShapeError", ShapeError);
  PyModule_AddObjectRef(module, "OutOfMemoryError", OutOfMemoryError);
}

PythonError::PythonError() {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (value && trace) PyException_SetTraceback(value, trace);
  error_ = std::make_shared<Kept>(value ? value : PyExc_RuntimeError);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
}

void PythonError::restore() const {
  PyObject* value = Py_NewRef(error_->get());
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(value))), value, PyException_GetTraceback(value));
}

void set_error() {
  static PyObject* const* const classes[] = {&PyExc_RuntimeError, &PyExc_ValueError,          &PyExc_TypeError,
                                             &PyExc_IndexError,   &PyExc_NotImplementedError, &OutOfMemoryError,
                                             &ShapeError};
  try {
    throw;
  } catch (const PythonError& e) {
    e.restore();
  } catch (pybind11::error_already_set& e) {
    e.restore();
  } catch (const Error& e) {
    PyErr_SetString(*classes[static_cast<int>(e.kind)], e.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(OutOfMemoryError, "out of memory");
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  } catch (...) {  // no exception of ours or Python's: see Note [Threads at interpreter exit]
    sleep_for_ever();
  }
}

}  // namespace pynn::python
