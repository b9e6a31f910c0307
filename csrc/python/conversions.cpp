// conversions.cpp -- Tensor's methods that ask about it or convert it, and the functions that make tensors from data.
#include <cstring>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "ops/view.h"
#include "python/fastcall.h"
#include "python/interop.h"

namespace pynn::python {

Tensor to_device(const Tensor& t, Device device) {
  if (device == t.device() || (device.type == t.device().type && device.is_cpu())) return t;
  check_available(device);
  PYNN_CHECK_KIND(NotImplemented, device.is_meta(), "to: Cannot copy out of meta tensor; no data!");
  return empty_strided(t.sizes(), t.strides(), t.dtype(), device);
}

namespace {

using Args = PyObject* const*;

Tensor convert(const Tensor& t, std::optional<DType> dtype, std::optional<Device> device, bool copy) {
  Tensor out = dtype ? ops::to_dtype(t, *dtype) : t;
  if (device) out = to_device(out, *device);
  return copy && out.same(t) ? ops::clone_of(t) : out;
}

// to(dtype), to(device), to(device, dtype), to(other), with non_blocking, copy, memory_format.
PyObject* to(PyObject* self, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    std::optional<DType> dtype;
    std::optional<Device> device;
    bool copy = false;
    int flags = 0;  // positional bools: non_blocking, then copy
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* o = args[i];
      if (is_tensor(o)) {
        dtype = tensor_of(o).dtype();
        device = tensor_of(o).device();
      } else if (PyBool_Check(o)) {
        if (flags++) copy = o == Py_True;
      } else if (is_dtype(o)) {
        dtype = dtype_of(o);
      } else if (o != Py_None) {
        device = device_of(o);
      }
    }
    for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
      const std::string name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, k));
      PyObject* o = args[n + k];
      if (name == "dtype") {
        if (o != Py_None) dtype = dtype_of(o);
      } else if (name == "device") {
        if (o != Py_None) device = device_of(o);
      } else if (name == "other") {
        const Tensor other = tensor_arg("to", "other", o);
        dtype = other.dtype(), device = other.device();
      } else if (name == "copy") {
        copy = PyObject_IsTrue(o) == 1;
      } else if (name != "non_blocking" && name != "memory_format") {
        fail(ErrorKind::Type, "to() got an unexpected keyword argument '", name, "'");
      }
    }
    return wrap(convert(tensor_of(self), dtype, device, copy));
  });
}

template <DType t>
PyObject* cast(PyObject* self, Args, Py_ssize_t, PyObject*) {
  return guard([&] { return wrap(ops::to_dtype(tensor_of(self), t)); });
}

PyObject* cpu(PyObject* self, Args, Py_ssize_t, PyObject*) {
  return guard([&] { return wrap(to_device(tensor_of(self), Device{})); });
}
PyObject* cuda(PyObject* self, Args args, Py_ssize_t n, PyObject*) {
  return guard([&] {
    const Device d = n && args[0] != Py_None ? device_of(args[0]) : Device{DeviceType::Cuda, -1};
    return wrap(to_device(tensor_of(self), d));
  });
}

PyObject* size(PyObject* self, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    if (n == 0 && !kwnames) return wrap_size(t.sizes());
    if (args[0] == Py_None) return wrap_size(t.sizes());
    PYNN_CHECK_KIND(Index, t.dim() > 0, "size: Dimension specified as ", int_of("size", args[0]), " but tensor has no dimensions");
    return PyLong_FromLongLong(t.size(wrap_dim("size", int_of("size", args[0]), t)));
  });
}
PyObject* stride(PyObject* self, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    if (n || kwnames) return PyLong_FromLongLong(t.stride(wrap_dim("stride", int_of("stride", args[0]), t)));
    Object size(wrap_size(t.strides()));
    return PySequence_Tuple(size.get());
  });
}

#define PYNN_ASK(name, expr)                                          \
  PyObject* name(PyObject* self, PyObject*) {                         \
    return guard([&]() -> PyObject* {                                 \
      [[maybe_unused]] const Tensor& t = tensor_of(self);             \
      return expr;                                                    \
    });                                                               \
  }
PYNN_ASK(ask_dim, PyLong_FromLongLong(t.dim()))
PYNN_ASK(ask_numel, PyLong_FromLongLong(t.numel()))
PYNN_ASK(ask_item, item(t))
PYNN_ASK(ask_tolist, tolist(t))
PYNN_ASK(ask_data_ptr, PyLong_FromVoidPtr(t.numel() ? t.data() : nullptr))
PYNN_ASK(ask_element_size, PyLong_FromSize_t(item_size(t.dtype())))
PYNN_ASK(ask_offset, PyLong_FromLongLong(t.offset()))
PYNN_ASK(ask_floating, PyBool_FromLong(is_floating(t.dtype())))
PYNN_ASK(ask_complex, PyBool_FromLong(is_complex(t.dtype())))
PYNN_ASK(ask_signed, PyBool_FromLong(is_signed(t.dtype())))
PYNN_ASK(ask_device, PyLong_FromLong(t.device().is_cpu() ? -1 : t.device().index))
PYNN_ASK(ask_inference, PyBool_FromLong(t.impl()->inference))
PYNN_ASK(ask_view, PyBool_FromLong(static_cast<bool>(t.impl()->base)))
PYNN_ASK(ask_set_to, PyBool_FromLong(0))
PyObject* ask_contiguous(PyObject* self, Args, Py_ssize_t, PyObject*) { return PyBool_FromLong(tensor_of(self).is_contiguous()); }

PyObject* ask_same_size(PyObject* self, PyObject* other) {
  return guard([&] { return PyBool_FromLong(same(tensor_of(self).sizes(), tensor_arg("is_same_size", "other", other).sizes())); });
}

// Functions of the module.

struct DataOptions {
  std::optional<DType> dtype;
  std::optional<Device> device;
  bool requires_grad = false, copy = false;
  DataOptions(const char* op, Args args, Py_ssize_t n, PyObject* kwnames) {
    if (n < 1) fail(ErrorKind::Type, op, "() missing required argument: 'data'");
    if (n > 1 && args[1] != Py_None) dtype = dtype_of(args[1]);
    if (n > 2 && args[2] != Py_None) device = device_of(args[2]);
    for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
      const std::string name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, k));
      PyObject* o = args[n + k];
      if (name == "dtype") {
        if (o != Py_None) dtype = dtype_of(o);
      } else if (name == "device") {
        if (o != Py_None) device = device_of(o);
      } else if (name == "requires_grad") {
        requires_grad = PyObject_IsTrue(o) == 1;
      } else if (name == "copy") {
        copy = o == Py_True;
      } else if (name != "pin_memory") {
        fail(ErrorKind::Type, op, "() got an unexpected keyword argument '", name, "'");
      }
    }
  }
};

PyObject* tensor(PyObject*, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&] {
    const DataOptions o("tensor", args, n, kwnames);
    Tensor t = tensor_from(args[0], o.dtype, o.device.value_or(Device{}));
    if (o.requires_grad) set_requires_grad(t, true);
    return wrap(std::move(t));
  });
}

// Shares memory where type and device allow it.
Tensor shared(PyObject* data, const DataOptions& o) {
  if (is_tensor(data)) return convert(tensor_of(data), o.dtype, o.device, o.copy);
  if (PyObject_CheckBuffer(data) && !PyBytes_Check(data) && !o.copy) {
    return convert(from_buffer(data, false), o.dtype, o.device, false);
  }
  return tensor_from(data, o.dtype, o.device.value_or(Device{}));
}
PyObject* as_tensor(PyObject*, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&] { return wrap(shared(args[0], DataOptions("as_tensor", args, n, kwnames))); });
}
PyObject* asarray(PyObject*, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&] {
    const DataOptions o("asarray", args, n, kwnames);
    Tensor t = shared(args[0], o);
    if (o.requires_grad) set_requires_grad(t, true);
    return wrap(t);
  });
}
PyObject* from_numpy(PyObject*, PyObject* array) {
  return guard([&] {
    if (!PyObject_CheckBuffer(array) || is_tensor(array)) fail(ErrorKind::Type, "from_numpy: expected np.ndarray (got ", Py_TYPE(array)->tp_name, ")");
    return wrap(from_buffer(array, false));
  });
}
PyObject* frombuffer(PyObject*, Args args, Py_ssize_t n, PyObject* kwnames) {
  return guard([&] {
    PyObject* dtype = n > 1 ? args[1] : nullptr;
    int64_t count = -1, offset = 0;
    bool grad = false;
    if (n < 1) fail(ErrorKind::Type, "frombuffer() missing required argument: 'buffer'");
    for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
      const std::string name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, k));
      PyObject* o = args[n + k];
      if (name == "dtype") {
        dtype = o;
      } else if (name == "count") {
        count = int_of("frombuffer", o);
      } else if (name == "offset") {
        offset = int_of("frombuffer", o);
      } else if (name == "requires_grad") {
        grad = PyObject_IsTrue(o) == 1;
      } else {
        fail(ErrorKind::Type, "frombuffer() got an unexpected keyword argument '", name, "'");
      }
    }
    if (!dtype || !is_dtype(dtype)) fail(ErrorKind::Type, "frombuffer() missing required argument: 'dtype'");
    const DType t = dtype_of(dtype);
    const auto size = static_cast<int64_t>(item_size(t));
    Object bytes(checked(PyMemoryView_FromObject(args[0])));
    bytes = Object(checked(PyObject_CallMethod(bytes.get(), "cast", "s", "B")));
    const Tensor raw = from_buffer(bytes.get(), false);
    const int64_t have = raw.numel();
    PYNN_CHECK_KIND(Value, have > 0 && count != 0, "frombuffer: both buffer length (", have, ") and count (", count, ") must not be 0");
    PYNN_CHECK_KIND(Value, offset >= 0 && offset < have, "frombuffer: offset (", offset, " bytes) must be non-negative and no greater than buffer length (",
                    have, " bytes) minus 1");
    if (count < 0) {
      PYNN_CHECK_KIND(Value, (have - offset) % size == 0, "frombuffer: buffer length (", have - offset, " bytes) after offset (", offset,
                      " bytes) must be a multiple of element size (", size, ")");
      count = (have - offset) / size;
    }
    PYNN_CHECK_KIND(Value, count <= (have - offset) / size, "frombuffer: requested buffer length (", count, " * ", size,
                    " bytes) after offset must not be greater than actual buffer length (", have, " bytes)");
    auto* keep = new Tensor(raw);
    Tensor out(TensorImpl::make(Storage::wrap(raw.data_as<char>() + offset, static_cast<size_t>(count * size), Device{},
                                              [](void* p) { delete static_cast<Tensor*>(p); }, keep),
                                t, DimVector{count}, DimVector{1}, 0));
    if (grad) set_requires_grad(out, true);
    return wrap(std::move(out));
  });
}
PyObject* is_tensor_fn(PyObject*, PyObject* o) { return PyBool_FromLong(is_tensor(o)); }
template <bool (*ask)(DType)>
PyObject* ask_type(PyObject*, PyObject* o) {
  return guard([&] { return PyBool_FromLong(ask(tensor_arg("is_...", "the argument", o).dtype())); });
}
PyObject* numel(PyObject*, PyObject* o) {
  return guard([&] { return PyLong_FromLongLong(tensor_arg("numel", "the argument", o).numel()); });
}
bool floats(DType t) { return is_floating(t); }
bool complexes(DType t) { return is_complex(t); }

#define PYNN_FAST(f) reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(f)), METH_FASTCALL | METH_KEYWORDS

PyMethodDef functions[] = {
    {"tensor", PYNN_FAST(tensor), "tensor(data, *, dtype=None, device=None, requires_grad=False)\n\nA copy of numbers, lists or arrays. Same as torch.tensor."},
    {"as_tensor", PYNN_FAST(as_tensor), "as_tensor(data, dtype=None, device=None)\n\nLike tensor, sharing memory where possible. Same as torch.as_tensor."},
    {"asarray", PYNN_FAST(asarray), "asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False)\n\nSame as torch.asarray."},
    {"from_numpy", from_numpy, METH_O, "from_numpy(array)\n\nA tensor over the array's memory. Same as torch.from_numpy."},
    {"frombuffer", PYNN_FAST(frombuffer), "frombuffer(buffer, *, dtype, count=-1, offset=0)\n\nA 1-D tensor over a buffer's memory. Same as torch.frombuffer."},
    {"is_tensor", is_tensor_fn, METH_O, "is_tensor(obj)\n\nWhether obj is a Tensor."},
    {"is_floating_point", ask_type<floats>, METH_O, "is_floating_point(input)\n\nWhether the dtype is a float type."},
    {"is_complex", ask_type<complexes>, METH_O, "is_complex(input)\n\nWhether the dtype is a complex type."},
    {"numel", numel, METH_O, "numel(input)\n\nThe number of elements."},
    {}};

}  // namespace

PyMethodDef tensor_methods[] = {
    {"to", PYNN_FAST(to), "to(dtype | device | other, ...)\n\nAnother dtype or device; the tensor itself if nothing changes. Same as torch.Tensor.to."},
    {"float", PYNN_FAST(cast<DType::Float32>), "to(float32)"},
    {"double", PYNN_FAST(cast<DType::Float64>), "to(float64)"},
    {"half", PYNN_FAST(cast<DType::Float16>), "to(float16)"},
    {"bfloat16", PYNN_FAST(cast<DType::BFloat16>), "to(bfloat16)"},
    {"int", PYNN_FAST(cast<DType::Int32>), "to(int32)"},
    {"long", PYNN_FAST(cast<DType::Int64>), "to(int64)"},
    {"short", PYNN_FAST(cast<DType::Int16>), "to(int16)"},
    {"char", PYNN_FAST(cast<DType::Int8>), "to(int8)"},
    {"byte", PYNN_FAST(cast<DType::UInt8>), "to(uint8)"},
    {"bool", PYNN_FAST(cast<DType::Bool>), "to(bool)"},
    {"cpu", PYNN_FAST(cpu), "to('cpu')"},
    {"cuda", PYNN_FAST(cuda), "to('cuda')"},
    {"size", PYNN_FAST(size), "size(dim=None)\n\nThe sizes, or one of them."},
    {"stride", PYNN_FAST(stride), "stride(dim=None)\n\nThe strides in elements, or one of them."},
    {"dim", ask_dim, METH_NOARGS, "The number of dims."},
    {"ndimension", ask_dim, METH_NOARGS, "The number of dims."},
    {"numel", ask_numel, METH_NOARGS, "The number of elements."},
    {"nelement", ask_numel, METH_NOARGS, "The number of elements."},
    {"item", ask_item, METH_NOARGS, "The one element as a Python number."},
    {"tolist", ask_tolist, METH_NOARGS, "Nested lists of Python numbers."},
    {"data_ptr", ask_data_ptr, METH_NOARGS, "The address of the first element."},
    {"element_size", ask_element_size, METH_NOARGS, "Bytes of one element."},
    {"storage_offset", ask_offset, METH_NOARGS, "Elements from the storage's start."},
    {"is_contiguous", PYNN_FAST(ask_contiguous), "Whether elements lie in row-major order."},
    {"is_floating_point", ask_floating, METH_NOARGS, "Whether the dtype is a float type."},
    {"is_complex", ask_complex, METH_NOARGS, "Whether the dtype is a complex type."},
    {"is_signed", ask_signed, METH_NOARGS, "Whether the dtype has negative values."},
    {"get_device", ask_device, METH_NOARGS, "The CUDA device's number, -1 on the CPU."},
    {"is_inference", ask_inference, METH_NOARGS, "Whether the tensor was made in inference_mode."},
    {"_is_view", ask_view, METH_NOARGS, "Whether the tensor is a view."},
    {"is_pinned", ask_set_to, METH_NOARGS, "False: there is no pinned memory here."},
    {"is_same_size", ask_same_size, METH_O, "Whether the sizes are equal."},
    {}};

void init_interop(PyObject* module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError();
}

}  // namespace pynn::python
