// tensor_data.cpp -- tensors from numbers and nested lists, and back.
#include <cstring>

#include "core/shape.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "python/fastcall.h"
#include "python/interop.h"

namespace pynn::python {
namespace {

// One element from a Python number. The caller knows that the number fits the type's category.
template <class T>
void store(void* at, PyObject* o) {
  const Scalar s = scalar_of(o);
  T v;
  if constexpr (std::is_same_v<T, bool>) {
    v = s.to_bool();
  } else if constexpr (std::is_integral_v<T>) {
    v = static_cast<T>(s.to_int());
    if (!s.is_float() && static_cast<int64_t>(v) != s.to_int())
      fail(ErrorKind::Runtime, "tensor: value cannot be converted to type ", dtype_name(DTypeOf<T>::value), " without overflow, got ", s.to_int());
  } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    v = static_cast<T>(s.to_double());
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    v = T(static_cast<float>(s.to_double()));
  } else {
    fail(ErrorKind::NotImplemented, "tensor: complex tensors are not supported yet");
  }
  std::memcpy(at, &v, sizeof v);
}
void store(DType t, void* at, PyObject* o) {
#define PYNN_STORE(T, name) \
  case DType::name:         \
    return store<T>(at, o);
  switch (t) { PYNN_FOR_EACH_DTYPE(PYNN_STORE) }
#undef PYNN_STORE
}

template <class T>
PyObject* load(const void* at) {
  T v;
  std::memcpy(&v, at, sizeof v);
  if constexpr (std::is_same_v<T, bool>) {
    return PyBool_FromLong(v);
  } else if constexpr (std::is_integral_v<T>) {
    return PyLong_FromLongLong(v);
  } else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) {
    return PyComplex_FromDoubles(v.re, v.im);
  } else {
    return PyFloat_FromDouble(static_cast<double>(v));
  }
}
PyObject* load(DType t, const void* at) {
#define PYNN_LOAD(T, name) \
  case DType::name:        \
    return load<T>(at);
  switch (t) { PYNN_FOR_EACH_DTYPE(PYNN_LOAD) }
#undef PYNN_LOAD
  return nullptr;
}

bool is_list(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o); }
Py_ssize_t length(PyObject* o) { return PyList_Check(o) ? PyList_GET_SIZE(o) : PyTuple_GET_SIZE(o); }
PyObject* at(PyObject* o, Py_ssize_t i) { return PyList_Check(o) ? PyList_GET_ITEM(o, i) : PyTuple_GET_ITEM(o, i); }
bool is_array(PyObject* o) { return !is_list(o) && PyObject_CheckBuffer(o) && !PyBytes_Check(o) && !is_tensor(o); }

// Sizes by the first items; everything else is checked while filling.
void shape_of(PyObject* o, DimVector& sizes) {
  while (is_list(o)) {
    PYNN_CHECK_KIND(Value, sizes.size() < kMaxDims, "tensor: too many dimensions (a list that contains itself?)");
    sizes.push_back(length(o));
    if (length(o) == 0) return;
    o = at(o, 0);
  }
  if (is_tensor(o)) {
    for (int64_t s : tensor_of(o).sizes()) sizes.push_back(s);
  } else if (is_array(o)) {
    for (int64_t s : from_buffer(o, false).sizes()) sizes.push_back(s);
  } else if (!is_number(o)) {
    if (PyUnicode_Check(o) || PyBytes_Check(o)) fail(ErrorKind::Type, "tensor: new(): invalid data type '", Py_TYPE(o)->tp_name, "'");
    if (PyComplex_Check(o)) fail(ErrorKind::NotImplemented, "tensor: complex tensors are not supported yet");
    fail(ErrorKind::Runtime, "tensor: Could not infer dtype of ", Py_TYPE(o)->tp_name);
  }
}

// bool < int64 < the default float; arrays and tensors bring their own.
DType type_of_data(PyObject* o) {
  if (PyFloat_Check(o)) return default_dtype();
  if (PyBool_Check(o)) return DType::Bool;
  if (PyLong_Check(o)) return DType::Int64;
  if (is_tensor(o)) return tensor_of(o).dtype();
  if (is_list(o)) {
    if (length(o) == 0) return default_dtype();
    DType t = type_of_data(at(o, 0));
    for (Py_ssize_t i = 1; i < length(o); ++i) {
      PyObject* item = at(o, i);
      if (t == DType::Int64 && PyLong_CheckExact(item)) continue;
      if (t == default_dtype() && PyFloat_CheckExact(item)) continue;
      t = promote(t, type_of_data(item));
    }
    return t;
  }
  if (is_array(o)) return from_buffer(o, false).dtype();
  if (PyUnicode_Check(o) || PyBytes_Check(o)) fail(ErrorKind::Type, "tensor: new(): invalid data type '", Py_TYPE(o)->tp_name, "'");
  if (is_number(o)) {
    const Scalar s = scalar_of(o);
    return s.is_float() ? default_dtype() : s.kind();
  }
  fail(ErrorKind::Runtime, "tensor: Could not infer dtype of ", Py_TYPE(o)->tp_name);
}

char* fill_from(PyObject* o, Dims sizes, size_t dim, DType t, char* out) {
  if (dim == sizes.size()) {
    if (is_tensor(o) || is_array(o)) {
      const Tensor v = is_tensor(o) ? tensor_of(o) : from_buffer(o, false);
      PYNN_CHECK_KIND(Value, v.numel() == 1, "tensor: only one element tensors can be converted to Python scalars");
      Object number(checked(item(v)));
      store(t, out, number.get());
    } else {
      if (is_list(o)) fail(ErrorKind::Type, "tensor: not a sequence of one depth at dim ", dim);
      store(t, out, o);
    }
    return out + item_size(t);
  }
  if (is_tensor(o) || is_array(o)) {
    const Tensor v = is_tensor(o) ? tensor_of(o) : from_buffer(o, false);
    PYNN_CHECK_KIND(Value, same(v.sizes(), sizes.subspan(dim)), "tensor: expected sequence of length ", sizes[dim], " at dim ", dim,
                    " (got shape ", dims_str(v.sizes()), ")");
    Tensor part = empty(v.sizes(), t);
    ops::copy_data(part, v);
    const size_t bytes = static_cast<size_t>(part.numel()) * item_size(t);
    std::memcpy(out, part.data(), bytes);
    return out + bytes;
  }
  if (!is_list(o)) fail(ErrorKind::Type, "tensor: not a sequence, got ", Py_TYPE(o)->tp_name, " at dim ", dim);
  PYNN_CHECK_KIND(Value, length(o) == sizes[dim], "tensor: expected sequence of length ", sizes[dim], " at dim ", dim, " (got ", length(o), ")");
  for (Py_ssize_t i = 0; i < sizes[dim]; ++i) {
    PYNN_CHECK_KIND(Value, i < length(o), "tensor: the list changed while it was read");
    out = fill_from(at(o, i), sizes, dim + 1, t, out);
  }
  return out;
}

Object list_from(const Tensor& t, int64_t dim, const char* data) {
  if (dim == t.dim()) return Object(checked(load(t.dtype(), data)));
  Object out(checked(PyList_New(t.size(dim))));
  const int64_t step = t.stride(dim) * static_cast<int64_t>(item_size(t.dtype()));
  for (int64_t i = 0; i < t.size(dim); ++i) PyList_SET_ITEM(out.get(), i, list_from(t, dim + 1, data + i * step).release());
  return out;
}

}  // namespace

PyObject* item(const Tensor& t) {
  PYNN_CHECK(t.numel() == 1, "item: a Tensor with ", t.numel(), " elements cannot be converted to Scalar");
  PYNN_CHECK(!t.device().is_meta(), "item: a tensor on the meta device has no values");
  return load(t.dtype(), t.data());
}

PyObject* tolist(const Tensor& t) {
  PYNN_CHECK(!t.device().is_meta(), "tolist: a tensor on the meta device has no values");
  return list_from(t, 0, static_cast<const char*>(t.data())).release();
}

Tensor tensor_from(PyObject* data, std::optional<DType> dtype, Device device) {
  Tensor t;
  if (is_tensor(data) || is_array(data)) {
    const Tensor source = is_tensor(data) ? tensor_of(data) : from_buffer(data, false);
    GradMode off(false);
    t = ops::to_dtype(source, dtype.value_or(source.dtype()));
    if (t.same(source)) t = ops::clone_of(source);
    t = alias(t);
  } else {
    DimVector sizes;
    shape_of(data, sizes);
    const DType type = dtype ? *dtype : type_of_data(data);
    t = empty(sizes, type);
    if (sizes.empty()) {
      store(type, t.data(), data);
    } else if (t.numel()) {
      fill_from(data, sizes, 0, type, t.data_as<char>());
    } else {
      fill_from(data, sizes, 0, type, nullptr);  // only checks
    }
  }
  return device.is_cpu() ? t : to_device(t, device);
}

// Tensor(2, 3): not cleared; Tensor([1., 2.]): of the default dtype; Tensor(): empty.
PyObject* legacy_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  if (kwargs && PyDict_GET_SIZE(kwargs) > 0) fail(ErrorKind::Type, "Tensor: takes no keyword arguments (use torch.tensor)");
  const Py_ssize_t n = PyTuple_GET_SIZE(args);
  Tensor t;
  if (n == 1 && !PyLong_Check(PyTuple_GET_ITEM(args, 0))) {
    PyObject* data = PyTuple_GET_ITEM(args, 0);
    if (is_tensor(data)) {
      t = alias(tensor_of(data));
    } else if (PyFloat_Check(data)) {
      fail(ErrorKind::Type, "Tensor: new(): data must be a sequence (got float)");
    } else {
      t = tensor_from(data, default_dtype(), {});
    }
  } else {
    DimVector sizes;
    for (Py_ssize_t i = 0; i < n; ++i) sizes.push_back(int_of("Tensor", PyTuple_GET_ITEM(args, i)));
    if (n == 0) sizes.push_back(0);
    t = empty(sizes, default_dtype());
  }
  return type == TensorType ? wrap(std::move(t)) : wrap_as(type, std::move(t));
}

}  // namespace pynn::python
