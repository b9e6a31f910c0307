// buffer.cpp -- Python's buffer protocol, both ways: how NumPy and tensors share memory without copies.
#include <cstring>

#include "core/shape.h"
#include "python/interop.h"

namespace pynn::python {
namespace {

const char* format_of(DType t) {
  switch (t) {
    case DType::Bool: return "?";
    case DType::UInt8: return "B";
    case DType::Int8: return "b";
    case DType::Int16: return "h";
    case DType::Int32: return "i";
    case DType::Int64: return "q";
    case DType::Float16: return "e";
    case DType::Float32: return "f";
    case DType::Float64: return "d";
    default: return nullptr;
  }
}

DType type_of_format(const char* format, Py_ssize_t size) {
  const char* f = format ? format : "B";
  if (*f == '@' || *f == '=' || (*f == '<' && PY_LITTLE_ENDIAN) || (*f == '>' && !PY_LITTLE_ENDIAN) || *f == '|') ++f;
  PYNN_CHECK_KIND(Value, *f != '<' && *f != '>' && *f != '!', "from_numpy: given numpy array has byte order different from the native byte "
                  "order. Conversion between byte orders is currently not supported.");
  if (f[0] && !f[1]) {
    if (std::strchr("bhilqn", *f)) return size == 1 ? DType::Int8 : size == 2 ? DType::Int16 : size == 4 ? DType::Int32 : DType::Int64;
    if (*f == '?') return DType::Bool;
    if (*f == 'B') return DType::UInt8;
    if (*f == 'e') return DType::Float16;
    if (*f == 'f') return DType::Float32;
    if (*f == 'd') return DType::Float64;
  }
  fail(ErrorKind::Type, "from_numpy: can't convert an array of format '", f,
       "'. The only supported types are: float64, float32, float16, int64, int32, int16, int8, uint8, and bool.");
}

struct Export {
  Tensor tensor;
  int64_t dims[2 * kMaxDims];
};

}  // namespace

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guard([&] {
    const Tensor& t = tensor_of(self);
    PYNN_CHECK(!t.requires_grad(), "buffer: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
    PYNN_CHECK_KIND(Type, t.device().is_cpu(), "buffer: can't convert ", t.device().str(), " device type tensor to numpy");
    const char* format = format_of(t.dtype());
    PYNN_CHECK_KIND(Type, format, "buffer: Got unsupported ScalarType ", dtype_name(t.dtype()), " (convert it with .float() first)");
    if (!t.is_contiguous() && (flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
      PyErr_SetString(PyExc_BufferError, "buffer: the tensor is not contiguous");
      return -1;
    }
    auto* e = new Export;
    e->tensor = alias(t);
    const auto size = static_cast<int64_t>(item_size(t.dtype()));
    for (int64_t d = 0; d < t.dim(); ++d) {
      e->dims[d] = t.size(d);
      e->dims[kMaxDims + d] = t.stride(d) * size;
    }
    view->buf = t.data();
    view->len = t.numel() * size;
    view->readonly = 0;
    view->itemsize = size;
    view->format = const_cast<char*>(flags & PyBUF_FORMAT ? format : nullptr);
    view->ndim = static_cast<int>(t.dim());
    static_assert(sizeof(Py_ssize_t) == sizeof(int64_t));
    view->shape = reinterpret_cast<Py_ssize_t*>(e->dims);
    view->strides = reinterpret_cast<Py_ssize_t*>(e->dims + kMaxDims);
    view->suboffsets = nullptr;
    view->internal = e;
    view->obj = Py_NewRef(self);
    return 0;
  });
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Export*>(view->internal); }

Tensor from_buffer(PyObject* o, bool writable) {
  auto* view = new Py_buffer;
  const auto drop = [](void* p) {
    Gil gil;
    PyBuffer_Release(static_cast<Py_buffer*>(p));
    delete static_cast<Py_buffer*>(p);
  };
  if (PyObject_GetBuffer(o, view, PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) < 0) {
    delete view;
    throw PythonError();
  }
  DType t;
  DimVector sizes, strides;
  try {
    t = type_of_format(view->format, view->itemsize);
    for (int d = 0; d < view->ndim; ++d) {
      PYNN_CHECK_KIND(Value, view->strides[d] >= 0, "from_numpy: At least one stride in the given numpy array is negative, and tensors with "
                      "negative strides are not currently supported. (You can probably work around this by making a copy of your array with "
                      "array.copy().)");
      PYNN_CHECK_KIND(Value, view->strides[d] % view->itemsize == 0, "from_numpy: given numpy array strides not a multiple of the element byte size. "
                      "Copy the numpy array to reallocate the memory.");
      sizes.push_back(view->shape[d]);
      strides.push_back(view->strides[d] / view->itemsize);
    }
  } catch (...) {
    drop(view);
    throw;
  }
  const size_t bytes = static_cast<size_t>(span_elements(sizes, strides)) * item_size(t);
  return Tensor(TensorImpl::make(Storage::wrap(view->buf, bytes, Device{}, drop, view), t, sizes, strides, 0));
}

}  // namespace pynn::python
