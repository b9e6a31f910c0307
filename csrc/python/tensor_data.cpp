// tensor_data.cpp -- tensor(), as_tensor() and Tensor(): shapes, dtypes and values out of Python objects.
#include "python/tensor_data.h"

#include "core/accelerator.h"
#include "core/shape.h"
#include "core/thread_state.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "python/arguments.h"
#include "python/buffer.h"
#include "python/convert.h"
#include "python/hooks.h"
#include "python/interop.h"
#include "python/overrides.h"
#include "python/values.h"

namespace pynn::python {
namespace {

bool is_sequence(PyObject* o) {
  if (PyList_Check(o) || PyTuple_Check(o)) return true;
  return !is_tensor(o) && !PyUnicode_Check(o) && !PyBytes_Check(o) && PySequence_Check(o) && !PyDict_Check(o);
}
// A list or tuple with the items of a sequence; empty for anything else.
Object items_of(PyObject* o) {
  if (PyList_Check(o) || PyTuple_Check(o)) return Object::borrow(o);
  return is_sequence(o) ? Object(checked(PySequence_List(o))) : Object();
}

// Walks through nested sequences three times: for the shape (along the first items), the dtype, the values.
class Nested {
 public:
  Nested(const char* op, PyObject* data) : op_(op), data_(data) { measure(); }

  DType infer() {
    infer(data_, 0);
    for (int64_t s : sizes_)
      if (s == 0) return default_dtype();
    return found_.value_or(default_dtype());
  }

  Tensor fill(DType dtype) {
    Tensor out = empty(sizes_, dtype);
    if (out.numel() == 0) return out;
    out_ = static_cast<char*>(out.data());
    dtype_ = dtype;
    strides_.assign(out.strides());
    fill(out, data_, 0, 0);
    return out;
  }

 private:
  int64_t ndim() const { return static_cast<int64_t>(sizes_.size()); }

  void measure() {
    Object here = Object::borrow(data_);
    while (true) {
      PyObject* o = here.get();
      if (!sizes_.empty() && PyUnicode_Check(o)) fail(ErrorKind::Value, op_, ": too many dimensions 'str'");
      const bool is_array = is_ndarray(o);
      if (!is_array && !is_sequence(o)) return;
      if (is_array) {
        const Tensor array = from_ndarray(o, false);
        for (int64_t s : array.sizes()) sizes_.push_back(s);
        return;
      }
      const Object items = items_of(o);
      const Py_ssize_t n = PySequence_Fast_GET_SIZE(items.get());
      if (sizes_.size() == kMaxDims) fail(ErrorKind::Value, op_, ": too many dimensions '", Py_TYPE(o)->tp_name, "'");
      sizes_.push_back(n);
      if (n == 0) return;
      here = Object::borrow(PySequence_Fast_GET_ITEM(items.get(), 0));
    }
  }

  void found(DType t) { found_ = found_ ? promote(*found_, t) : t; }

  void infer_number(PyObject* o) {
    if (const std::optional<DType> t = number_type(o)) return found(*t);
    if (PyUnicode_Check(o) || PyBytes_Check(o))
      fail(ErrorKind::Type, op_, ": invalid data type '", Py_TYPE(o)->tp_name, "'");
    if (is_ndarray(o)) return found(from_ndarray(o, false).dtype());
    if (is_sequence(o)) return;  // too deep: fill() says so
    fail(ErrorKind::Runtime, op_, ": Could not infer dtype of ", Py_TYPE(o)->tp_name);
  }

  void infer(PyObject* o, int64_t depth) {
    if (depth == ndim() || is_ndarray(o)) return infer_number(o);
    const Object items = items_of(o);
    if (!items) return infer_number(o);
    const bool last = depth + 1 == ndim();
    PyTypeObject* seen = nullptr;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
      const Object item = Object::borrow(PySequence_Fast_GET_ITEM(items.get(), i));
      PyTypeObject* type = Py_TYPE(item.get());
      if (last && type == seen) continue;  // a type gives the same dtype each time, but for tensors and arrays
      if (last) {
        infer_number(item.get());
        if (type == &PyFloat_Type || type == &PyLong_Type || type == &PyBool_Type) seen = type;
      } else {
        infer(item.get(), depth + 1);
      }
    }
  }

  [[noreturn]] void ragged(int64_t depth, int64_t got) const {
    fail(ErrorKind::Value, op_, ": expected sequence of length ", sizes_[depth], " at dim ", depth, " (got ", got, ")");
  }

  void fill(const Tensor& out, PyObject* o, int64_t depth, int64_t at) {
    char* to = out_ + at * static_cast<int64_t>(item_size(dtype_));
    if (depth == ndim()) return store_number(op_, to, dtype_, o);
    if (is_ndarray(o)) {
      const Tensor part = from_ndarray(o, false);
      for (int64_t d = depth; d < ndim(); ++d) {
        if (d - depth >= part.dim()) fail(ErrorKind::Type, op_, ": len() of unsized object");
        if (part.size(d - depth) != sizes_[d]) ragged(d, part.size(d - depth));
      }
      PYNN_CHECK_KIND(Value, part.dim() == ndim() - depth, op_, ": too many dimensions 'numpy.ndarray'");
      ops::copy_data(alias(out, part.sizes(), Dims(strides_).subspan(depth), at), part);
      return;
    }
    const Object items = items_of(o);
    if (!items) fail(ErrorKind::Type, op_, ": not a sequence, got ", Py_TYPE(o)->tp_name, " among sequences");
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(items.get());
    if (n != sizes_[depth]) ragged(depth, n);
    if (depth + 1 == ndim()) return store_items(op_, to, dtype_, items.get(), n);
    for (Py_ssize_t i = 0; i < n; ++i) {
      if (i >= PySequence_Fast_GET_SIZE(items.get())) ragged(depth, i);  // changed while it was read
      const Object item = Object::borrow(PySequence_Fast_GET_ITEM(items.get(), i));
      fill(out, item.get(), depth + 1, at + i * strides_[depth]);
    }
  }

  const char* op_;
  PyObject* data_;
  DimVector sizes_, strides_;
  std::optional<DType> found_;
  char* out_ = nullptr;
  DType dtype_ = DType::Float32;
};

Tensor moved(Tensor t, std::optional<Device> device) { return device ? ops::to_device(t, *device) : t; }

// The arguments of tensor() and as_tensor().
struct Options {
  Options(const char* function, PyObject* dtype_object, PyObject* device_object)
      : dtype(dtype_arg(function, dtype_object)), device(device_arg(function, device_object)) {}
  std::optional<DType> dtype;
  std::optional<Device> device;
};

}  // namespace

Tensor (*pin_memory)(const Tensor&) = nullptr;

Tensor pinned_if_asked(const Tensor& x, PyObject* pin) {
  if (!bool_arg("a new tensor", "pin_memory", pin) || !pin_memory || !accelerator->device_count()) return x;
  return pin_memory(x);
}

namespace {

PyObject* new_tensor(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    static const Parameters params("tensor", {"data", "dtype", "device", "requires_grad", "pin_memory"}, 1, 1);
    PyObject* a[5];
    params.parse(args, nargs, kwnames, a);
    if (!kwnames && PyFloat_CheckExact(a[0])) {  // the commonest call
      Tensor t = empty({}, default_dtype());
      store_number("tensor", t.data(), t.dtype(), a[0]);
      return wrap(std::move(t));
    }
    const Options options("tensor", a[1], a[2]);
    const bool pin = bool_arg("tensor", "pin_memory", a[4]);
    PYNN_CHECK(!pin || pin_memory,
               "tensor: pin_memory=True requires a CUDA or other accelerator backend, got a build without one");
    Tensor t;
    if (is_tensor(a[0])) {
      if (PyErr_WarnEx(PyExc_UserWarning,
                       "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
                       "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
                       1) < 0)
        return nullptr;
      GradMode off(false);
      t = convert(tensor_of(a[0]), options.dtype, options.device, true);
    } else {
      t = moved(tensor_from_data("tensor", a[0], options.dtype), options.device);
    }
    if (pin) t = pin_memory(t);
    if (bool_arg("tensor", "requires_grad", a[3])) set_requires_grad(t, true);
    return wrap(std::move(t));
  });
}

PyObject* as_tensor(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    static const Parameters params("as_tensor", {"data", "dtype", "device"}, 3, 1);
    PyObject* a[3];
    params.parse(args, nargs, kwnames, a);
    const Options options("as_tensor", a[1], a[2]);
    if (is_tensor(a[0])) return wrap(convert(tensor_of(a[0]), options.dtype, options.device, false));
    if (is_ndarray(a[0])) return wrap(convert(from_ndarray(a[0], true), options.dtype, options.device, false));
    return wrap(moved(tensor_from_data("as_tensor", a[0], options.dtype), options.device));
  });
}

// Tensor(...) of old: sizes or data, of one given dtype.
Tensor legacy(PyObject* args, PyObject* size, PyObject* data, DType dtype, Device device) {
  const Py_ssize_t n = PyTuple_GET_SIZE(args);
  PyObject* one = n == 1 ? PyTuple_GET_ITEM(args, 0) : data;
  if (one && is_tensor(one)) return alias_view(tensor_of(one));
  const bool is_size = one && PyTuple_Check(one) && std::string_view(Py_TYPE(one)->tp_name) == "pynn.Size";
  if (!size && is_size) size = one;
  if (!size && one && !(PyLong_Check(one) && !PyBool_Check(one))) {
    if (!is_sequence(one) && !is_ndarray(one)) {
      if (PyUnicode_Check(one)) fail(ErrorKind::Type, "new(): invalid data type 'str'");
      fail(ErrorKind::Type, "new(): data must be a sequence (got ", Py_TYPE(one)->tp_name, ")");
    }
    return moved(tensor_from_data("new()", one, dtype), device);
  }
  PyObject* list = size ? size : args;
  DimVector sizes;
  if (!PyTuple_Check(list) && !PyList_Check(list)) fail(ErrorKind::Type, "new(): size must be a tuple of ints");
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); ++i) {
    PyObject* o = PySequence_Fast_GET_ITEM(list, i);
    if (!PyIndex_Check(o) || PyBool_Check(o))
      fail(ErrorKind::Type, "new(): argument 'size' must be tuple of ints, but found element of type ",
           Py_TYPE(o)->tp_name, " at pos ", i + 1);
    const Py_ssize_t s = PyNumber_AsSsize_t(o, PyExc_OverflowError);
    if (s == -1 && PyErr_Occurred()) throw PythonError();
    PYNN_CHECK(s >= 0, "new(): Trying to create tensor with negative dimension ", s);
    sizes.push_back(s);
  }
  if (list == args && n == 0) sizes.push_back(0);  // Tensor() is empty
  return empty(sizes, dtype, device);
}

Tensor legacy_from(PyObject* args, PyObject* kwargs, DType dtype) {
  PyObject *size = nullptr, *data = nullptr, *key, *value;
  Device device;
  Py_ssize_t at = 0;
  while (kwargs && PyDict_Next(kwargs, &at, &key, &value)) {
    const std::string_view name = PyUnicode_AsUTF8(key);
    if (name == "device") {
      device = device_arg("new", value).value_or(Device{});
    } else if (name == "size") {
      size = value;
    } else if (name == "data") {
      data = value;
    } else {
      fail(ErrorKind::Type, "new() got an unexpected keyword argument '", std::string(name),
           "' (use tensor() for a dtype)");
    }
  }
  return legacy(args, size, data, dtype, device);
}

// _legacy_new(dtype, args, kwargs): FloatTensor and its kin (pynn/_legacy.py).
PyObject* typed_new(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  return guard([&]() -> PyObject* {
    if (nargs != 3) fail(ErrorKind::Type, "_legacy_new() takes 3 arguments");
    const DType dtype = dtype_of(args[0]);
    Tensor t = legacy_from(args[1], args[2], dtype);
    PYNN_CHECK_KIND(Type, t.dtype() == dtype, "new(): expected a tensor of ", dtype_name(dtype), ", got ",
                    dtype_name(t.dtype()));
    return wrap(std::move(t));
  });
}

}  // namespace

Tensor tensor_from_data(const char* op, PyObject* data, std::optional<DType> dtype) {
  if (is_ndarray(data)) {
    const Tensor shared = from_ndarray(data, false);
    Tensor t = empty(shared.sizes(), dtype.value_or(shared.dtype()));
    ops::copy_data(t, shared);
    return t;
  }
  if (!PyList_Check(data) && !PyTuple_Check(data) && !number_type(data) && PyObject_HasAttrString(data, "__dlpack__")) {
    const Tensor shared = from_dlpack(data);
    Tensor t = empty(shared.sizes(), dtype.value_or(shared.dtype()));
    ops::copy_data(t, shared);
    return t;
  }
  Nested nested(op, data);
  return nested.fill(dtype ? *dtype : nested.infer());
}

PyObject* legacy_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return wrap_as(type, legacy_from(args, kwargs, default_dtype()));
}

// The module's function of that name, unless a mode takes it over.
PyObject* function_or_override(const char* name, FastMethod* f, PyObject* module, PyObject* const* args,
                               Py_ssize_t nargs, PyObject* kwnames) {
  if (!may_be_overridden()) return f(module, args, nargs, kwnames);
  return guard([&] {
    Object own(checked(PyObject_GetAttrString(module, name)));
    PyObject* const result = overridden(own.get(), args, static_cast<size_t>(nargs), kwnames);
    return result ? result : f(module, args, nargs, kwnames);
  });
}
PyObject* overridable_tensor(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return function_or_override("tensor", new_tensor, module, args, nargs, kwnames);
}
PyObject* overridable_as_tensor(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return function_or_override("as_tensor", as_tensor, module, args, nargs, kwnames);
}

void init_tensor_data(PyObject* module) {
  static PyMethodDef functions[] = {
      {"tensor", PYNN_FASTCALL(overridable_tensor),
       "tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False) -> Tensor\n\n"
       "A new tensor with the values of numbers, nested sequences or an array; always a copy. Same as torch.tensor."},
      {"as_tensor", PYNN_FASTCALL(overridable_as_tensor),
       "as_tensor(data, dtype=None, device=None) -> Tensor\n\n"
       "The data as a tensor, without a copy where possible. Same as torch.as_tensor."},
      {"_legacy_new", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(typed_new)), METH_FASTCALL, nullptr},
      {}};
  add_functions(module, functions);
}

}  // namespace pynn::python
