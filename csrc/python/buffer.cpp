// buffer.cpp -- the buffer protocol, both ways: NumPy arrays and others as tensors, tensors as buffers.
#include "python/buffer.h"

#include <memory>
#include <string_view>

#include "core/shape.h"
#include "python/arguments.h"
#include "python/interop.h"

namespace pynn::python {
namespace {

static_assert(sizeof(Py_ssize_t) == sizeof(int64_t), "strides are handed over as they are");

constexpr const char* kSupported =
    ". The only supported types are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
    "uint8, "
    "and bool.";

// Holds an object's buffer until the last tensor on it goes.
struct HeldBuffer {
  HeldBuffer(PyObject* o, int flags) {
    if (PyObject_GetBuffer(o, &view, flags) < 0) throw PythonError();
  }
  ~HeldBuffer() {
    if (!Py_IsInitialized()) return;
    Gil gil;
    PyBuffer_Release(&view);
  }
  Py_buffer view;
};

Tensor over(std::unique_ptr<HeldBuffer> held, void* data, DType dtype, Dims sizes, Dims strides) {
  const size_t nbytes = static_cast<size_t>(span_elements(sizes, strides)) * item_size(dtype);
  Ref<Storage> storage =
      Storage::wrap(data, nbytes, Device{}, [](void* p) { delete static_cast<HeldBuffer*>(p); }, held.get());
  held.release();
  return Tensor(TensorImpl::make(std::move(storage), dtype, sizes, strides, 0));
}

std::optional<DType> sized_int(bool is_signed, Py_ssize_t bytes) {
  if (!is_signed) return bytes == 1 ? std::optional(DType::UInt8) : std::nullopt;
  switch (bytes) {
    case 1:
      return DType::Int8;
    case 2:
      return DType::Int16;
    case 4:
      return DType::Int32;
    case 8:
      return DType::Int64;
    default:
      return {};
  }
}

std::optional<DType> format_type(std::string_view format, Py_ssize_t itemsize) {
  if (!format.empty() && std::string_view("@=<>!").find(format[0]) != format.npos) format.remove_prefix(1);
  if (format == "Zf") return DType::Complex64;
  if (format == "Zd") return DType::Complex128;
  if (format.size() != 1) return {};
  switch (format[0]) {
    case '?':
      return DType::Bool;
    case 'e':
      return DType::Float16;
    case 'f':
      return DType::Float32;
    case 'd':
      return DType::Float64;
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n':
      return sized_int(true, itemsize);
    case 'B':
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N':
      return sized_int(false, itemsize);
    default:
      return {};
  }
}

bool is_foreign(const char* format, Py_ssize_t itemsize) {
  constexpr char other = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<';
  return itemsize > 1 && (format[0] == other || (other == '>' && format[0] == '!'));
}

// The name of the array's element type, as NumPy's own messages have it: "numpy.object_".
std::string element_name(PyObject* array) {
  Object dtype(PyObject_GetAttrString(array, "dtype"));
  Object type(dtype ? PyObject_GetAttrString(dtype.get(), "type") : nullptr);
  PyErr_Clear();
  return type && PyType_Check(type.get()) ? reinterpret_cast<PyTypeObject*>(type.get())->tp_name : "unknown";
}

void warn(const char* text) {
  if (PyErr_WarnEx(PyExc_UserWarning, text, 1) < 0) throw PythonError();
}

}  // namespace

bool is_ndarray(PyObject* o) {
  if (!PyObject_CheckBuffer(o) || is_tensor(o)) return false;
  static PyTypeObject* type = nullptr;  // known once NumPy is loaded; before, nothing is an array
  if (!type) {
    PyObject* numpy = PyDict_GetItemString(PyImport_GetModuleDict(), "numpy");
    Object found(numpy ? PyObject_GetAttrString(numpy, "ndarray") : nullptr);
    PyErr_Clear();
    if (!found || !PyType_Check(found.get())) return false;
    type = reinterpret_cast<PyTypeObject*>(found.release());
  }
  return PyObject_TypeCheck(o, type);
}

Tensor from_ndarray(PyObject* array, bool shares) {
  std::unique_ptr<HeldBuffer> held;
  try {
    held = std::make_unique<HeldBuffer>(array, PyBUF_FORMAT | PyBUF_STRIDES);
  } catch (const PythonError&) {  // dates, and types that other packages add
    const std::string name = element_name(array);
    if (name.ends_with("bfloat16")) {
      Object bits(checked(PyObject_CallMethod(array, "view", "s", "int16")));
      Tensor t = from_ndarray(bits.get(), shares);
      t.impl()->dtype = DType::BFloat16;
      return t;
    }
    fail(ErrorKind::Type, "can't convert np.ndarray of type ", name, kSupported);
  }
  const Py_buffer& v = held->view;
  const char* format = v.format ? v.format : "B";
  PYNN_CHECK_KIND(
      Value, !is_foreign(format, v.itemsize),
      "given numpy array has byte order different from the native byte order. Conversion between byte orders "
      "is currently not supported.");
  const std::optional<DType> dtype = format_type(format, v.itemsize);
  if (!dtype) fail(ErrorKind::Type, "can't convert np.ndarray of type ", element_name(array), kSupported);
  DimVector sizes, strides;
  for (int d = 0; d < v.ndim; ++d) {
    PYNN_CHECK_KIND(
        Value, v.strides[d] >= 0,
        "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
        "currently supported. (You can probably work around this by making a copy of your array  with "
        "array.copy().) ");
    PYNN_CHECK_KIND(Value, v.strides[d] % v.itemsize == 0,
                    "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
                    "reallocate the memory.");
    sizes.push_back(v.shape[d]);
    strides.push_back(v.strides[d] / v.itemsize);
  }
  if (shares && v.readonly)
    warn(
        "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing "
        "to this tensor will result in undefined behavior. You may want to copy the array to protect its data or make "
        "it writable before converting it to a tensor.");
  void* data = v.buf;
  return over(std::move(held), data, *dtype, sizes, strides);
}

namespace {

PyObject* from_numpy(PyObject*, PyObject* array) {
  return guard([&]() -> PyObject* {
    if (!is_ndarray(array)) fail(ErrorKind::Type, "expected np.ndarray (got ", Py_TYPE(array)->tp_name, ")");
    return wrap(from_ndarray(array, true));
  });
}

PyObject* frombuffer(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    static const Parameters params("frombuffer", {"buffer", "dtype", "count", "offset", "requires_grad"}, 1, 2);
    PyObject* a[5];
    params.parse(args, nargs, kwnames, a);
    const DType dtype = dtype_arg("frombuffer", a[1]).value_or(default_dtype());
    int64_t count = a[2] ? PyLong_AsLongLong(a[2]) : -1;
    const int64_t offset = a[3] ? PyLong_AsLongLong(a[3]) : 0;
    if (PyErr_Occurred()) return nullptr;
    PYNN_CHECK_KIND(Value, PyObject_CheckBuffer(a[0]), "frombuffer: object does not implement Python buffer protocol.");
    auto held = std::make_unique<HeldBuffer>(a[0], PyBUF_SIMPLE);
    const int64_t have = held->view.len, item = static_cast<int64_t>(item_size(dtype));
    PYNN_CHECK_KIND(Value, have > 0 && count != 0, "frombuffer: both buffer length (", have, ") and count (", count,
                    ") must not be 0");
    PYNN_CHECK_KIND(Value, offset >= 0 && offset < have, "frombuffer: offset (", offset,
                    " bytes) must be non-negative and no greater than buffer length (", have, " bytes) minus 1");
    PYNN_CHECK_KIND(Value, count > 0 || (have - offset) % item == 0, "frombuffer: buffer length (", have - offset,
                    " bytes) after offset (", offset, " bytes) must be a multiple of element size (", item, ")");
    if (count < 0) count = (have - offset) / item;
    PYNN_CHECK_KIND(Value, count <= (have - offset) / item, "frombuffer: requested buffer length (", count, " * ", item,
                    " bytes) after offset (", offset, " bytes) must not be greater than actual buffer length (", have,
                    " bytes)");
    if (held->view.readonly)
      warn(
          "The given buffer is not writable, and PyTorch does not support non-writable tensors. This means you can "
          "write to the underlying (supposedly non-writable) buffer using the tensor. You may want to copy the buffer "
          "to protect its data or make it writable before converting it to a tensor.");
    void* data = static_cast<char*>(held->view.buf) + offset;
    const Tensor t = over(std::move(held), data, dtype, DimVector{count}, DimVector{1});
    if (bool_arg("frombuffer", "requires_grad", a[4])) set_requires_grad(t, true);
    return wrap(t);
  });
}

// What an exported buffer points to.
struct Export {
  explicit Export(const Tensor& t) : storage(t.storage()), sizes(t.sizes()), strides(t.strides()) { storage->lend(); }
  ~Export() { storage->give_back(); }
  Ref<Storage> storage;
  DimVector sizes, strides;  // strides in bytes
};

const char* format_of(DType t) {
  switch (t) {
    case DType::Bool:
      return "?";
    case DType::UInt8:
      return "B";
    case DType::Int8:
      return "b";
    case DType::Int16:
      return "h";
    case DType::Int32:
      return "i";
    case DType::Int64:
      return sizeof(long) == 8 ? "l" : "q";
    case DType::Float16:
      return "e";
    case DType::Float32:
      return "f";
    case DType::Float64:
      return "d";
    case DType::Complex64:
      return "Zf";
    case DType::Complex128:
      return "Zd";
    default:
      return nullptr;
  }
}

bool is_fortran(const Tensor& t) {
  DimVector sizes(t.sizes()), strides(t.strides());
  std::reverse(sizes.begin(), sizes.end());
  std::reverse(strides.begin(), strides.end());
  return is_contiguous(sizes, strides);
}

const char* refusal(const Tensor& t, int flags) {
  if (!t.device().is_cpu())
    return "can't convert a tensor on another device to a buffer. Use Tensor.cpu() to copy the tensor to host memory "
           "first.";
  if (t.requires_grad()) return "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.";
  if (!format_of(t.dtype()))
    return "bfloat16 has no buffer format (use tensor.float(), or tensor.numpy() with ml_dtypes installed)";
  const bool c = t.is_contiguous(), fortran = is_fortran(t);
  if ((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS && !c) return "the tensor is not contiguous";
  if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && !fortran) return "the tensor is not Fortran-contiguous";
  if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !c)
    return "the tensor is not contiguous, and strides were not asked for";
  if ((flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS && !c && !fortran) return "the tensor is not contiguous";
  return nullptr;
}

}  // namespace

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Tensor& t = tensor_of(self);
  view->obj = nullptr;
  if (const char* why = refusal(t, flags)) {
    PyErr_SetString(PyExc_BufferError, why);
    return -1;
  }
  return guard([&] {
    auto* kept = new Export(t);
    const auto item = static_cast<int64_t>(item_size(t.dtype()));
    for (int64_t& s : kept->strides) s *= item;
    view->buf = t.data();
    view->obj = Py_NewRef(self);
    view->len = t.numel() * item;
    view->itemsize = item;
    view->readonly = 0;
    view->ndim = flags & PyBUF_ND ? static_cast<int>(t.dim()) : 1;  // without a shape memoryview takes plain bytes
    view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format_of(t.dtype())) : nullptr;
    view->shape = flags & PyBUF_ND ? reinterpret_cast<Py_ssize_t*>(kept->sizes.data()) : nullptr;
    view->strides =
        (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? reinterpret_cast<Py_ssize_t*>(kept->strides.data()) : nullptr;
    view->suboffsets = nullptr;
    view->internal = kept;
    return 0;
  });
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Export*>(view->internal); }

void init_buffer(PyObject* module) {
  static PyMethodDef functions[] = {
      {"from_numpy", from_numpy, METH_O,
       "from_numpy(ndarray) -> Tensor\n\nA tensor that shares the array's memory. Same as torch.from_numpy."},
      {"frombuffer", PYNN_FASTCALL(frombuffer),
       "frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor\n\n"
       "A 1-D tensor that shares the memory of an object with Python's buffer protocol. Same as torch.frombuffer."},
      {}};
  add_functions(module, functions);
}

}  // namespace pynn::python
