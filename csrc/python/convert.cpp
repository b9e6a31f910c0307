// convert.cpp -- Tensor.to() in all its forms, float(), long() ..., cpu(), cuda(), type_as().
#include "python/convert.h"

#include <utility>

#include "autograd/record.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "python/arguments.h"
#include "python/interop.h"
#include "python/overrides.h"

namespace pynn::python {

namespace {

void warn_of_lost_part() {  // once, as PyTorch does
  static bool warned = false;
  if (std::exchange(warned, true)) return;
  if (PyErr_WarnEx(PyExc_UserWarning, "Casting complex values to real discards the imaginary part", 1) < 0)
    throw PythonError();
}

}  // namespace

Tensor convert(const Tensor& x, std::optional<DType> dtype, std::optional<Device> device, bool copy,
               MemoryFormat format, bool asynchronous) {
  const DType t = dtype.value_or(x.dtype());
  if (device && !(resolve(*device) == x.device())) {
    NoGil release(!device->is_meta());
    // The cast happens where fewer bytes travel.
    const bool narrows = item_size(t) < item_size(x.dtype());
    const Tensor y = ops::to_device(narrows ? ops::to_dtype(x, t) : x, *device, asynchronous);
    const Tensor z = ops::to_dtype(y, t);
    return format == MemoryFormat::Preserve || format == suggested_format(z) ? z : ops::to_copy(z, t, format);
  }
  const bool in_place = format == MemoryFormat::Preserve || format == suggested_format(x);
  if (t == x.dtype() && !copy && in_place) return x;
  if (is_complex(x.dtype()) && !is_complex(t) && t != DType::Bool) warn_of_lost_part();
  NoGil release(x.numel() >= (1 << 15));
  return ops::to_copy(x, t, format);
}

namespace {

// What to() was asked for.
struct Target {
  std::optional<DType> dtype;
  std::optional<Device> device;
  bool copy = false, asynchronous = false;
  MemoryFormat format = MemoryFormat::Preserve;
};

[[noreturn]] void bad_arguments(PyObject* const* args, Py_ssize_t nargs) {
  std::string got;
  for (Py_ssize_t i = 0; i < nargs; ++i) got += (i ? ", " : "") + std::string(Py_TYPE(args[i])->tp_name);
  fail(ErrorKind::Type, "to() received an invalid combination of arguments - got (", got,
       "), but expected (device=None, dtype=None, non_blocking=False, copy=False), (dtype, non_blocking=False, "
       "copy=False) or (other, non_blocking=False, copy=False)");
}

Target parse_to(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  Target target;
  Py_ssize_t flags = nargs;  // where non_blocking and copy begin
  if (nargs > 0) {
    flags = 1;
    if (is_dtype(args[0])) {
      target.dtype = dtype_of(args[0]);
    } else if (is_tensor(args[0])) {
      target.dtype = tensor_of(args[0]).dtype();
      target.device = tensor_of(args[0]).device();
    } else if (args[0] == Py_None || is_device_like(args[0]) || (PyLong_Check(args[0]) && !PyBool_Check(args[0]))) {
      target.device = device_arg("to", args[0]);
      if (nargs > 1) {
        target.dtype = dtype_arg("to", args[1]);
        flags = 2;
      }
    } else {
      bad_arguments(args, nargs);
    }
  }
  if (nargs > flags + 2) bad_arguments(args, nargs);
  if (nargs > flags) target.asynchronous = bool_arg("to", "non_blocking", args[flags]);
  if (nargs > flags + 1) target.copy = bool_arg("to", "copy", args[flags + 1]);
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, k);
    PyObject* value = args[nargs + k];
    const auto is = [&](const char* s) { return PyUnicode_CompareWithASCIIString(name, s) == 0; };
    if (is("dtype")) {
      target.dtype = dtype_arg("to", value);
    } else if (is("device")) {
      target.device = device_arg("to", value);
    } else if (is("copy")) {
      target.copy = bool_arg("to", "copy", value);
    } else if (is("non_blocking")) {
      target.asynchronous = bool_arg("to", "non_blocking", value);
    } else if (is("other") || is("tensor")) {
      const Tensor other = tensor_arg("to", "other", value);
      target.dtype = other.dtype();
      target.device = other.device();
    } else if (is("memory_format")) {
      if (value != Py_None) target.format = format_arg("to", value, MemoryFormat::Preserve);
    } else {
      fail(ErrorKind::Type, "to() got an unexpected keyword argument '", PyUnicode_AsUTF8(name), "'");
    }
  }
  return target;
}

PyObject* to(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&] {
    const Target t = parse_to(args, nargs, kwnames);
    return wrap(convert(tensor_of(self), t.dtype, t.device, t.copy, t.format, t.asynchronous));
  });
}

// The only argument of float(), cpu() ...; None is none.
MemoryFormat parse_format(const Parameters& params, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  if (!nargs && !kwnames) return MemoryFormat::Preserve;
  PyObject* format;
  params.parse(args, nargs, kwnames, &format);
  return format_arg(params.function(), format == Py_None ? nullptr : format, MemoryFormat::Preserve);
}

// float(), long() ...: one function per dtype.
template <DType T>
PyObject* to_type(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    static const Parameters params(dtype_name(T), {"memory_format"}, 1);
    return wrap(convert(tensor_of(self), T, {}, false, parse_format(params, args, nargs, kwnames)));
  });
}

PyObject* cpu(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&] {
    static const Parameters params("cpu", {"memory_format"}, 1);
    return wrap(convert(tensor_of(self), {}, Device{}, false, parse_format(params, args, nargs, kwnames)));
  });
}

PyObject* cuda(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&] {
    static const Parameters params("cuda", {"device", "non_blocking", "memory_format"}, 2);
    PyObject* a[3];
    params.parse(args, nargs, kwnames, a);
    const bool asynchronous = a[1] && bool_arg("cuda", "non_blocking", a[1]);
    return wrap(convert(tensor_of(self), {}, device_arg("cuda", a[0]).value_or(Device{DeviceType::Cuda}), false,
                        format_arg("cuda", a[2] == Py_None ? nullptr : a[2], MemoryFormat::Preserve), asynchronous));
  });
}

PyObject* type_as(PyObject* self, PyObject* other) {
  return guard([&] {
    const Tensor o = tensor_arg("type_as", "other", other);
    return wrap(convert(tensor_of(self), o.dtype(), o.device(), false));
  });
}

#define PYNN_TYPE_METHOD(name, T)                                  \
  {name, PYNN_FASTCALL(PYNN_OVERRIDABLE(name, to_type<DType::T>)), \
   "The values as " #T ". Same as torch.Tensor." name "."}
PyMethodDef methods[] = {
    {"to", PYNN_FASTCALL(PYNN_OVERRIDABLE("to", to)),
     "to(dtype), to(device=None, dtype=None) or to(other), each with non_blocking=False, copy=False -> Tensor\n\n"
     "With another dtype or device; the tensor itself if nothing changes. Same as torch.Tensor.to."},
    {"cpu", PYNN_FASTCALL(PYNN_OVERRIDABLE("cpu", cpu)),
     "cpu() -> Tensor\n\nIn host memory. Same as torch.Tensor.cpu."},
    {"cuda", PYNN_FASTCALL(PYNN_OVERRIDABLE("cuda", cuda)),
     "cuda(device=None, non_blocking=False) -> Tensor\n\nIn GPU memory. Same as torch.Tensor.cuda."},
    {"type_as", type_as, METH_O,
     "type_as(other) -> Tensor\n\nWith the other's dtype and device. Same as torch.Tensor.type_as."},
    PYNN_TYPE_METHOD("float", Float32),
    PYNN_TYPE_METHOD("double", Float64),
    PYNN_TYPE_METHOD("half", Float16),
    PYNN_TYPE_METHOD("bfloat16", BFloat16),
    PYNN_TYPE_METHOD("long", Int64),
    PYNN_TYPE_METHOD("int", Int32),
    PYNN_TYPE_METHOD("short", Int16),
    PYNN_TYPE_METHOD("char", Int8),
    PYNN_TYPE_METHOD("byte", UInt8),
    PYNN_TYPE_METHOD("bool", Bool),
    PYNN_TYPE_METHOD("cfloat", Complex64),
    PYNN_TYPE_METHOD("cdouble", Complex128),
    {}};

}  // namespace

void init_convert() { add_methods(methods); }

}  // namespace pynn::python
