// py.h -- the few Python helpers that every binding file uses. Only csrc/python includes Python headers.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/memory_format.h"
#include "core/random.h"
#include "core/tensor.h"

namespace pynn::python {

// Note [Threads at interpreter exit]
// A daemon thread that wants the GIL while the interpreter shuts down is ended by CPython (up to 3.13) with
// pthread_exit, which unwinds the stack: destructors would then use Python without the GIL, and a noexcept function on
// the way ends the process. Such a thread is put to sleep for good instead, in the innermost of our frames, as
// CPython 3.14 does.
[[noreturn]] void sleep_for_ever() noexcept;
// To be called where Python is about to be used by code that may be running because the stack is unwound.
inline void stop_if_unwinding() {
#if PY_VERSION_HEX >= 0x030E0000
#elif PY_VERSION_HEX >= 0x030D0000
  if (Py_IsFinalizing() && !PyGILState_Check()) sleep_for_ever();
#else
  if (_Py_IsFinalizing() && !PyGILState_Check()) sleep_for_ever();
#endif
}
// Runs what takes the GIL or calls back into Python; nothing that unwinds the stack comes out.
template <class F>
auto or_sleep(F&& f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (...) {  // the functions of CPython throw nothing: the thread is being ended
    sleep_for_ever();
  }
}

// An owned reference.
class Object {
 public:
  Object() = default;
  explicit Object(PyObject* p) : p_(p) {}
  static Object borrow(PyObject* p) { return Object(Py_XNewRef(p)); }
  Object(const Object& o) : p_(Py_XNewRef(o.p_)) {}
  Object(Object&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Object& operator=(Object o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Object() {
    if (!p_) return;
    stop_if_unwinding();
    Py_DECREF(p_);
  }
  PyObject* get() const { return p_; }
  PyObject* release() { return std::exchange(p_, nullptr); }
  explicit operator bool() const { return p_; }

 private:
  PyObject* p_ = nullptr;
};

class Gil {  // take the GIL, from any thread
 public:
  Gil() : state_(or_sleep(PyGILState_Ensure)) {}
  ~Gil() {
    stop_if_unwinding();
    PyGILState_Release(state_);
  }

 private:
  PyGILState_STATE state_;
};

class NoGil {  // let other Python threads run
 public:
  explicit NoGil(bool release = true) : state_(release ? PyEval_SaveThread() : nullptr) {}
  ~NoGil() {
    if (state_) or_sleep([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* state_;
};

// A reference that C++ code keeps and drops without the GIL.
class Kept {
 public:
  explicit Kept(PyObject* p) : p_(Py_NewRef(p)) {}
  Kept(const Kept& o) : p_(o.p_) {
    Gil gil;
    Py_INCREF(p_);
  }
  Kept& operator=(const Kept&) = delete;
  ~Kept() {
    if (!Py_IsInitialized()) return;
    Gil gil;
    Py_DECREF(p_);
  }
  PyObject* get() const { return p_; }

 private:
  PyObject* p_;
};

// A Python exception on its way through C++ code.
class PythonError : public std::exception {
 public:
  PythonError();  // takes the current one
  void restore() const;
  const char* what() const noexcept override { return "a Python exception"; }

 private:
  std::shared_ptr<Kept> error_;
};

inline PyObject* checked(PyObject* p) {
  if (!p) throw PythonError();
  return p;
}

// Inside a catch block: sets the Python exception for the current C++ one.
void set_error();
// For functions that Python calls: `return guard([&] { ... })`.
template <class F>
auto guard(F&& f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    set_error();
    if constexpr (std::is_pointer_v<decltype(f())>) {
      return nullptr;
    } else {
      return -1;
    }
  }
}
extern PyObject *ShapeError, *OutOfMemoryError;
void init_errors(PyObject* module);

// Tensors.
struct PyTensor {
  PyObject_HEAD Tensor tensor;
  PyObject* dict;
  PyObject* weakrefs;
};
extern PyTypeObject* TensorType;
inline bool is_tensor(PyObject* o) { return Py_TYPE(o) == TensorType || PyType_IsSubtype(Py_TYPE(o), TensorType); }
inline const Tensor& tensor_of(PyObject* o) { return reinterpret_cast<PyTensor*>(o)->tensor; }
PyObject* wrap(const Tensor& t);  // None for an undefined one; the same object as long as it lives
PyObject* wrap(Tensor&& t);
Object wrap_list(std::span<const Tensor> list);
Tensor tensor_arg(const char* op, const char* what, PyObject* o);  // TypeError unless a Tensor
void init_tensor_type(PyObject* module);

// dtype, device, Size (types.cpp)
PyObject* wrap(DType t);
PyObject* wrap(Device d);
PyObject* wrap_size(Dims d);  // Size
bool is_dtype(PyObject* o);
DType dtype_of(PyObject* o);  // dtype objects, and Python's float, int, bool
bool is_device_like(PyObject* o);
Device device_of(PyObject* o);  // device, str or int
bool is_format(PyObject* o);    // a memory_format
MemoryFormat format_of(PyObject* o);
void init_types(PyObject* module);

Generator* generator_of(PyObject* o);  // nullptr unless a Generator (bind_random.cpp)
bool is_number(PyObject* o);           // bool, int, float, NumPy scalars; not tensors
bool is_complex_number(PyObject* o);
bool is_scalar(PyObject* o);  // a number of either kind

}  // namespace pynn::python
