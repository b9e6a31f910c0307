#include "python/values.h"

#include <cstring>
#include <string_view>
#include <type_traits>

#include "ops/device.h"
#include "ops/element.h"
#include "python/interop.h"

namespace pynn::python {
namespace {

template <class T>
constexpr bool kIsFloat =
    std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
constexpr bool kIsComplex = std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>;

// f(T{}) for the type of that dtype.
template <class F>
auto by_type(DType t, F f) {
  switch (t) {
#define PYNN_CASE(T, name) \
  case DType::name:        \
    return f(T{});
    PYNN_FOR_EACH_DTYPE(PYNN_CASE)
#undef PYNN_CASE
  }
  fail(ErrorKind::Runtime, "unknown dtype");
}

template <class T>
PyObject* number_of(T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return PyBool_FromLong(x);
  } else if constexpr (kIsFloat<T>) {
    return PyFloat_FromDouble(static_cast<double>(x));
  } else if constexpr (kIsComplex<T>) {
    return PyComplex_FromDoubles(x.re, x.im);
  } else {
    return PyLong_FromLongLong(x);
  }
}

template <class T>
PyObject* to_number(const T* at) {
  // Memory seen as bool may hold any byte.
  if constexpr (std::is_same_v<T, bool>) {
    return PyBool_FromLong(*reinterpret_cast<const uint8_t*>(at));
  } else {
    return number_of(*at);
  }
}

template <class T>
PyObject* nested(const T* x, const int64_t* sizes, const int64_t* strides, int64_t ndim) {
  if (ndim == 0) return to_number(x);
  Object list(checked(PyList_New(sizes[0])));
  for (int64_t i = 0; i < sizes[0]; ++i) {
    const T* at = x + i * strides[0];
    PyList_SET_ITEM(list.get(), i, checked(ndim == 1 ? to_number(at) : nested(at, sizes + 1, strides + 1, ndim - 1)));
  }
  return list.release();
}

void check_has_values(const char* op, const Tensor& t) {
  PYNN_CHECK_KIND(NotImplemented, !t.device().is_meta(), op, ": Cannot copy out of meta tensor; no data!");
}

// The one element of a tensor among other numbers.
Object element_of(const char* op, PyObject* o) {
  const Tensor& t = tensor_of(o);
  PYNN_CHECK_KIND(Value, t.numel() == 1, op,
                  ": only one element tensors can be converted to Python scalars, got shape ", dims_str(t.sizes()));
  if (t.requires_grad() &&
      PyErr_WarnEx(PyExc_UserWarning,
                   "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
                   "Consider using tensor.detach() first.",
                   1) < 0)
    throw PythonError();
  return Object(checked(item(t)));
}

double double_of(PyObject* o) {
  const double f = PyFloat_AsDouble(o);
  if (f == -1 && PyErr_Occurred()) throw PythonError();
  return f;
}

int64_t int64_of(PyObject* o) {
  int overflow = 0;
  const long long i = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) fail(ErrorKind::Value, "Overflow when unpacking long long");
  if (i == -1 && PyErr_Occurred()) throw PythonError();
  return i;
}

// The number as C++ has it, for an integer or bool element.
Scalar scalar_from(PyObject* o) {
  if (PyLong_Check(o)) return Scalar(int64_of(o));
  if (PyFloat_Check(o)) return Scalar(PyFloat_AS_DOUBLE(o));
  if (PyIndex_Check(o)) {
    Object i(checked(PyNumber_Index(o)));
    return Scalar(int64_of(i.get()));
  }
  const PyNumberMethods* n = Py_TYPE(o)->tp_as_number;
  if (n && n->nb_float) return Scalar(double_of(o));  // NumPy's floats
  Object i(checked(PyNumber_Index(o)));               // raises "'list' object cannot be interpreted as an integer"
  return Scalar(int64_of(i.get()));
}

}  // namespace

PyObject* to_python(const void* element, DType type) {
  return by_type(type, [&](auto t) { return to_number(static_cast<const decltype(t)*>(element)); });
}

namespace {
Tensor fetched(const Tensor& t) {  // waits for the device
  NoGil release(true);
  return ops::on_host(t);
}
}  // namespace

PyObject* item(const Tensor& t) {
  PYNN_CHECK(t.numel() == 1, "item: a Tensor with ", t.numel(), " elements cannot be converted to Scalar");
  PYNN_CHECK(!t.device().is_meta(), "item: Tensor.item() cannot be called on meta tensors");
  return to_python(t.device().is_cuda() ? fetched(t).data() : t.data(), t.dtype());
}

PyObject* tolist(const Tensor& source) {
  check_has_values("tolist", source);
  const Tensor t = fetched(source);
  return by_type(t.dtype(), [&](auto e) {
    return nested(static_cast<const decltype(e)*>(t.data()), t.sizes().data(), t.strides().data(), t.dim());
  });
}

void store_number(const char* op, void* element, DType type, PyObject* number) {
  Object value = is_tensor(number) ? element_of(op, number) : Object::borrow(number);
  PyObject* o = value.get();
  if (is_complex(type)) {
    const Py_complex c = PyComplex_AsCComplex(o);
    if (c.real == -1 && PyErr_Occurred()) throw PythonError();
    if (type == DType::Complex64) {
      *static_cast<Complex64*>(element) = {static_cast<float>(c.real), static_cast<float>(c.imag)};
    } else {
      *static_cast<Complex128*>(element) = {c.real, c.imag};
    }
  } else if (is_floating(type)) {
    ops::store_element(op, element, type, Scalar(double_of(o)));
  } else if (type == DType::Bool) {
    const int truth = PyObject_IsTrue(o);
    if (truth < 0) throw PythonError();
    *static_cast<bool*>(element) = truth;
  } else {
    ops::store_element(op, element, type, scalar_from(o));
  }
}

void store_items(const char* op, void* elements, DType type, PyObject* sequence, Py_ssize_t n) {
  by_type(type, [&](auto e) {
    using T = decltype(e);
    T* out = static_cast<T*>(elements);
    for (Py_ssize_t i = 0; i < n; ++i) {
      // Asked anew each time: converting a number may run Python code that changes the list.
      if (i >= PySequence_Fast_GET_SIZE(sequence)) fail(ErrorKind::Runtime, op, ": the list shrank while it was read");
      PyObject* o = PySequence_Fast_GET_ITEM(sequence, i);
      if constexpr (kIsFloat<T>) {
        if (PyFloat_CheckExact(o)) {
          if constexpr (std::is_same_v<T, double>) {
            out[i] = PyFloat_AS_DOUBLE(o);
          } else {
            out[i] = static_cast<T>(static_cast<float>(PyFloat_AS_DOUBLE(o)));
          }
          continue;
        }
      } else if constexpr (std::is_same_v<T, int64_t>) {
        if (PyLong_CheckExact(o)) {
          out[i] = int64_of(o);
          continue;
        }
      }
      Object keep = Object::borrow(o);
      store_number(op, out + i, type, o);
    }
    return 0;
  });
}

std::optional<DType> number_type(PyObject* o) {
  if (PyFloat_CheckExact(o)) return default_dtype();
  if (PyBool_Check(o)) return DType::Bool;
  if (PyLong_CheckExact(o)) return DType::Int64;
  if (is_tensor(o)) return tensor_of(o).dtype();
  const std::string_view name = Py_TYPE(o)->tp_name;
  if (name.starts_with("numpy.")) {
    const std::string_view kind = name.substr(6);
    if (kind == "bool_") return DType::Bool;
    if (kind == "longlong") return DType::Int64;
    for (int i = 0; i < kDTypes; ++i)
      if (kind == dtype_name(static_cast<DType>(i))) return static_cast<DType>(i);
  }
  if (PyFloat_Check(o)) return default_dtype();
  if (PyLong_Check(o)) return DType::Int64;
  if (PyComplex_Check(o)) return default_dtype() == DType::Float64 ? DType::Complex128 : DType::Complex64;
  return {};
}

}  // namespace pynn::python
