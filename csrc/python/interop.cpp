// interop.cpp -- what a tensor tells about itself: sizes, strides, addresses, values; and the raw bytes for pickling.
#include "python/interop.h"

#include <cstring>

#include "core/shape.h"
#include "core/thread_state.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "python/arguments.h"
#include "python/values.h"

namespace pynn::python {
namespace {

// size() and stride(): all of them, or that of one dim.
template <class All, class One>
PyObject* sizes_or_one(const char* name, PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                       const Parameters& params, All all, One one) {
  return guard([&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    if (nargs == 0 && !kwnames) return all(t);
    PyObject* dim;
    params.parse(args, nargs, kwnames, &dim);
    if (!dim || dim == Py_None) return all(t);
    if (!PyIndex_Check(dim))
      fail(ErrorKind::Type, name, "(): argument 'dim' (position 1) must be int, not ", Py_TYPE(dim)->tp_name);
    const Py_ssize_t d = PyNumber_AsSsize_t(dim, PyExc_OverflowError);
    if (d == -1 && PyErr_Occurred()) return nullptr;
    PYNN_CHECK_KIND(Index, t.dim() > 0, name, ": Dimension specified as ", d, " but tensor has no dimensions");
    return PyLong_FromLongLong(one(t, wrap_dim(name, d, t)));
  });
}

PyObject* size(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static const Parameters params("size", {"dim"}, 1);
  return sizes_or_one(
      "size", self, args, nargs, kwnames, params, [](const Tensor& t) { return wrap_size(t.sizes()); },
      [](const Tensor& t, int64_t d) { return t.size(d); });
}

PyObject* stride(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static const Parameters params("stride", {"dim"}, 1);
  const auto all = [](const Tensor& t) {
    Object out(checked(PyTuple_New(t.dim())));
    for (int64_t d = 0; d < t.dim(); ++d) PyTuple_SET_ITEM(out.get(), d, checked(PyLong_FromLongLong(t.stride(d))));
    return out.release();
  };
  return sizes_or_one("stride", self, args, nargs, kwnames, params, all,
                      [](const Tensor& t, int64_t d) { return t.stride(d); });
}

PyObject* is_contiguous(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    if (nargs == 0 && !kwnames) return PyBool_FromLong(t.is_contiguous());
    static const Parameters params("is_contiguous", {"memory_format"}, 0);
    PyObject* format;
    params.parse(args, nargs, kwnames, &format);
    return PyBool_FromLong(is_contiguous_in(format_arg("is_contiguous", format, MemoryFormat::Contiguous), t));
  });
}

// Whoever has the address may write there at any time.
void* lent_for_good(const Tensor& t) {
  if (!t.storage()->lent()) t.storage()->lend();
  return t.data();
}

#define PYNN_ASK(name, expr)                  \
  PyObject* name(PyObject* self, PyObject*) { \
    return guard([&]() -> PyObject* {         \
      const Tensor& t = tensor_of(self);      \
      return expr;                            \
    });                                       \
  }
PYNN_ASK(ask_dim, PyLong_FromLongLong(t.dim()))
PYNN_ASK(ask_numel, PyLong_FromLongLong(t.numel()))
PYNN_ASK(ask_element_size, PyLong_FromSize_t(item_size(t.dtype())))
PYNN_ASK(ask_storage_offset, PyLong_FromLongLong(t.offset()))
PYNN_ASK(ask_data_ptr, PyLong_FromVoidPtr(t.device().is_meta() || t.numel() == 0 ? nullptr : lent_for_good(t)))
PYNN_ASK(ask_is_floating_point, PyBool_FromLong(is_floating(t.dtype())))
PYNN_ASK(ask_is_complex, PyBool_FromLong(pynn::is_complex(t.dtype())))
PYNN_ASK(ask_is_signed, PyBool_FromLong(pynn::is_signed(t.dtype())))
PYNN_ASK(ask_device, PyLong_FromLong(t.device().is_cuda() ? std::max<int>(t.device().index, 0) : -1))
PYNN_ASK(ask_item, item(t))
PYNN_ASK(ask_tolist, tolist(t))

PyObject* as_subclass(PyObject* self, PyObject* cls) {
  return guard([&]() -> PyObject* {
    if (!PyType_Check(cls) || !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(cls), TensorType))
      fail(ErrorKind::Type, "as_subclass: a subclass of Tensor is required, got ", Py_TYPE(cls)->tp_name);
    return wrap_as(reinterpret_cast<PyTypeObject*>(cls), alias_view(tensor_of(self)));
  });
}

PyMethodDef methods[] = {
    {"size", PYNN_FASTCALL(size), "size(dim=None) -> Size or int\n\nAll sizes, or one. Same as torch.Tensor.size."},
    {"stride", PYNN_FASTCALL(stride),
     "stride(dim=None) -> tuple or int\n\nSteps between elements, in elements. Same as torch.Tensor.stride."},
    {"is_contiguous", PYNN_FASTCALL(is_contiguous),
     "is_contiguous(*, memory_format=contiguous_format) -> bool\n\nWhether the elements lie in that order without "
     "gaps."},
    {"dim", ask_dim, METH_NOARGS, "dim() -> int\n\nThe number of dims."},
    {"ndimension", ask_dim, METH_NOARGS, "ndimension() -> int\n\nThe number of dims."},
    {"numel", ask_numel, METH_NOARGS, "numel() -> int\n\nThe number of elements."},
    {"nelement", ask_numel, METH_NOARGS, "nelement() -> int\n\nThe number of elements."},
    {"element_size", ask_element_size, METH_NOARGS, "element_size() -> int\n\nBytes of one element."},
    {"storage_offset", ask_storage_offset, METH_NOARGS,
     "storage_offset() -> int\n\nWhere the first element lies in the storage."},
    {"data_ptr", ask_data_ptr, METH_NOARGS,
     "data_ptr() -> int\n\nThe address of the first element; 0 if there is none."},
    {"is_floating_point", ask_is_floating_point, METH_NOARGS,
     "is_floating_point() -> bool\n\nWhether the dtype is a float type."},
    {"is_complex", ask_is_complex, METH_NOARGS, "is_complex() -> bool\n\nWhether the dtype is a complex type."},
    {"is_signed", ask_is_signed, METH_NOARGS, "is_signed() -> bool\n\nWhether the dtype has negative values."},
    {"get_device", ask_device, METH_NOARGS, "get_device() -> int\n\nThe number of the GPU; -1 on the CPU."},
    {"as_subclass", as_subclass, METH_O,
     "as_subclass(cls) -> Tensor\n\nA view of the tensor as an instance of a subclass."},
    {"item", ask_item, METH_NOARGS,
     "item() -> number\n\nThe only element as a Python number. Same as torch.Tensor.item."},
    {"tolist", ask_tolist, METH_NOARGS,
     "tolist() -> list\n\nThe elements as nested lists of numbers. Same as torch.Tensor.tolist."},
    {}};

// _to_bytes(tensor) -> bytes of the elements in row-major order.
PyObject* to_bytes(PyObject*, PyObject* o) {
  return guard([&]() -> PyObject* {
    const Tensor source = tensor_arg("_to_bytes", "the argument", o);
    PYNN_CHECK_KIND(NotImplemented, !source.device().is_meta(), "to_bytes: Cannot copy out of meta tensor; no data!");
    GradMode off(false);
    const Tensor t = ops::contiguous(ops::on_host(source));
    return PyBytes_FromStringAndSize(static_cast<const char*>(t.data()),
                                     t.numel() * static_cast<Py_ssize_t>(item_size(t.dtype())));
  });
}

// _from_bytes(bytes, dtype, sizes) -> a new tensor.
PyObject* from_bytes(PyObject*, PyObject* args) {
  return guard([&]() -> PyObject* {
    Py_buffer bytes;
    PyObject *dtype, *list;
    if (!PyArg_ParseTuple(args, "y*OO!", &bytes, &dtype, &PyTuple_Type, &list)) return nullptr;
    struct Release {
      Py_buffer* b;
      ~Release() { PyBuffer_Release(b); }
    } release{&bytes};
    DimVector sizes;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(list); ++i) {
      const Py_ssize_t s = PyNumber_AsSsize_t(PyTuple_GET_ITEM(list, i), PyExc_OverflowError);
      if (s == -1 && PyErr_Occurred()) return nullptr;
      sizes.push_back(s);
    }
    const DType t = dtype_of(dtype);
    const int64_t want = checked_numel(sizes) * static_cast<int64_t>(item_size(t));
    PYNN_CHECK_KIND(Value, bytes.len == want, "from_bytes: ", want, " bytes are required for shape ", dims_str(sizes),
                    " of ", dtype_name(t), ", got ", bytes.len);
    const Tensor out = empty(sizes, t);
    std::memcpy(out.data(), bytes.buf, static_cast<size_t>(want));
    return wrap(out);
  });
}

// _storage(tensor) -> (address, bytes) of the whole block.
PyObject* storage_of(PyObject*, PyObject* o) {
  return guard([&]() -> PyObject* {
    const Tensor t = tensor_arg("_storage", "the argument", o);
    return Py_BuildValue("(NN)", PyLong_FromVoidPtr(t.storage()->data()), PyLong_FromSize_t(t.storage()->nbytes()));
  });
}

}  // namespace

void init_interop(PyObject* module) {
  static PyMethodDef functions[] = {{"_to_bytes", to_bytes, METH_O, nullptr},
                                    {"_from_bytes", from_bytes, METH_VARARGS, nullptr},
                                    {"_storage", storage_of, METH_O, nullptr},
                                    {}};
  add_functions(module, functions);
  add_methods(methods);
  init_tensor_data(module);
  init_buffer(module);
  init_dlpack(module);
  init_convert();
}

}  // namespace pynn::python
