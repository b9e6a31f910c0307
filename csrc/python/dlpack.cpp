// dlpack.cpp -- sharing memory with other array packages by DLPack, both ways.
#include "python/dlpack.h"

#include <memory>

#include "core/shape.h"
#include "ops/assign.h"
#include "ops/device.h"
#include "python/arguments.h"
#include "python/convert.h"
#include "python/interop.h"
#include "python/tensor_data.h"

namespace pynn::dlpack {
const Streams* streams = nullptr;
}

namespace pynn::python {
namespace {

using dlpack::Managed;
using dlpack::ManagedVersioned;

// The two kinds of capsule, and what they are called once taken.
template <class M>
constexpr const char* kName = "dltensor";
template <>
constexpr const char* kName<ManagedVersioned> = "dltensor_versioned";
template <class M>
constexpr const char* kUsed = "used_dltensor";
template <>
constexpr const char* kUsed<ManagedVersioned> = "used_dltensor_versioned";

dlpack::DataType type_to(DType t) {
  const uint8_t code = t == DType::Bool       ? dlpack::kBool
                       : t == DType::BFloat16 ? dlpack::kBfloat
                       : is_complex(t)        ? dlpack::kComplex
                       : is_floating(t)       ? dlpack::kFloat
                       : is_signed(t)         ? dlpack::kInt
                                              : dlpack::kUInt;
  return {code, static_cast<uint8_t>(8 * item_size(t)), 1};
}
DType type_from(dlpack::DataType d) {
  for (int i = 0; i < kDTypes; ++i) {
    const dlpack::DataType t = type_to(static_cast<DType>(i));
    if (t.code == d.code && t.bits == d.bits && d.lanes == 1) return static_cast<DType>(i);
  }
  fail(ErrorKind::Runtime, "from_dlpack: unsupported element type, got code ", int{d.code}, " with ", int{d.bits},
       " bits and ", d.lanes, " lanes");
}

dlpack::DeviceId device_to(Device d) {
  if (d.is_cuda()) return {dlpack::kCuda, d.index};
  return {dlpack::kCpu, 0};
}

template <class M>
struct Exported {
  M managed;
  Tensor tensor;
  DimVector sizes, strides;
};

template <class M>
PyObject* export_as(const Tensor& t, bool copied) {
  auto* e = new Exported<M>{{}, t, t.sizes(), t.strides()};
  t.storage()->lend();
  e->managed.context = e;
  e->managed.deleter = [](M* m) {
    const std::unique_ptr<Exported<M>> e(static_cast<Exported<M>*>(m->context));
    e->tensor.storage()->give_back();
  };
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    e->managed.major = 1;
    e->managed.minor = 0;
    e->managed.flags = copied ? dlpack::kIsCopied : 0;
  }
  e->managed.view = {t.data(),
                     device_to(t.device()),
                     static_cast<int32_t>(t.dim()),
                     type_to(t.dtype()),
                     e->sizes.data(),
                     e->strides.data(),
                     0};
  PyObject* capsule = PyCapsule_New(&e->managed, kName<M>, [](PyObject* c) {
    if (!PyCapsule_IsValid(c, kName<M>)) return;  // taken: its new owner deletes
    auto* m = static_cast<M*>(PyCapsule_GetPointer(c, kName<M>));
    m->deleter(m);
  });
  if (!capsule) e->managed.deleter(&e->managed);
  return checked(capsule);
}

// The consumer's stream, as the protocol numbers them: None and 1 the default one, -1 one that needs no waiting.
void lend_to_stream(const Tensor& t, PyObject* stream) {
  if (!t.device().is_cuda()) {
    if (stream && stream != Py_None) fail(ErrorKind::Value, "__dlpack__: stream should be None on cpu");
    return;
  }
  intptr_t number = 1;
  if (stream && stream != Py_None) {
    if (!PyLong_Check(stream))
      fail(ErrorKind::Type, "__dlpack__: stream must be an int or None, not ", Py_TYPE(stream)->tp_name);
    number = static_cast<intptr_t>(PyLong_AsSsize_t(stream));
    if (number == -1 && PyErr_Occurred()) throw PythonError();
    PYNN_CHECK_KIND(Value, number != 0 && number >= -1,
                    "__dlpack__: stream must be -1, 1, 2 or a stream's address, got ", number);
  }
  if (number != -1 && t.numel()) dlpack::streams->lend(number == 1 ? 0 : number, t.device().index, t.storage()->data());
}

PyObject* to_dlpack(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    static const Parameters params("__dlpack__", {"stream", "max_version", "dl_device", "copy"}, 0);
    PyObject* a[4];
    params.parse(args, nargs, kwnames, a);
    Tensor t = tensor_of(self);
    if (t.requires_grad()) {
      PyErr_SetString(PyExc_BufferError, "Can't export tensors that require gradient, use tensor.detach()");
      return nullptr;
    }
    if (!t.device().is_cpu() && !t.device().is_cuda()) {
      PyErr_SetString(PyExc_BufferError, "Can't export tensors without memory, use tensor.cpu()");
      return nullptr;
    }
    bool given = a[3] && a[3] != Py_None;
    bool copy = given && bool_arg("__dlpack__", "copy", a[3]);
    if (a[2] && a[2] != Py_None) {
      int type = 0, id = 0;
      if (!PyArg_ParseTuple(a[2], "ii", &type, &id)) return nullptr;
      const dlpack::DeviceId here = device_to(t.device());
      if (type == dlpack::kCpu && t.device().is_cuda() && (copy || !given)) {
        t = ops::on_host(t);
        copy = given = true;
      } else if (type != here.type || id != here.id) {
        PyErr_Format(PyExc_BufferError, "__dlpack__: dl_device must be (%d, %d), where the tensor is%s, got (%d, %d)",
                     here.type, here.id, t.device().is_cuda() ? ", or the CPU with a copy" : "", type, id);
        return nullptr;
      }
    }
    if (copy && t.storage() == tensor_of(self).storage()) t = ops::clone_of(t);
    lend_to_stream(t, t.device() == tensor_of(self).device() ? a[0] : nullptr);
    bool versioned = false;
    if (a[1] && a[1] != Py_None) {
      int major = 0, minor = 0;
      if (!PyArg_ParseTuple(a[1], "ii", &major, &minor)) return nullptr;
      versioned = major >= 1;
    }
    return versioned ? export_as<ManagedVersioned>(t, copy) : export_as<Managed>(t, copy);
  });
}

PyObject* dlpack_device(PyObject* self, PyObject*) {
  const Device device = tensor_of(self).device();
  if (!device.is_cpu() && !device.is_cuda()) {
    PyErr_SetString(PyExc_BufferError, "Can't export tensors without memory, use tensor.cpu()");
    return nullptr;
  }
  const dlpack::DeviceId id = device_to(device);
  return Py_BuildValue("(ii)", id.type, id.id);
}

Device device_from(dlpack::DeviceId d) {
  if (d.type == dlpack::kCpu || d.type == dlpack::kPinned) return {};
  PYNN_CHECK(d.type == dlpack::kCuda || d.type == dlpack::kManaged,
             "from_dlpack: memory of the CPU or of CUDA is required, got DLPack device type ", d.type);
  const Device device{DeviceType::Cuda, static_cast<int8_t>(d.id)};
  check_available(device);
  return device;
}

// Takes the capsule over.
template <class M>
Tensor import_as(PyObject* capsule) {
  auto* m = static_cast<M*>(PyCapsule_GetPointer(capsule, kName<M>));
  if (!m) throw PythonError();
  const dlpack::TensorView& v = m->view;
  if constexpr (std::is_same_v<M, ManagedVersioned>)
    PYNN_CHECK_KIND(Value, m->major == 1, "from_dlpack: only DLPack 1.x is supported, got version ", m->major, ".",
                    m->minor);
  const Device device = device_from(v.device);
  const DType dtype = type_from(v.dtype);
  const Dims shape(v.shape, static_cast<size_t>(v.ndim));
  checked_numel(shape);
  const DimVector sizes(shape);
  const DimVector strides = v.strides ? DimVector(Dims(v.strides, shape.size())) : contiguous_strides(sizes);
  for (int64_t s : strides)
    PYNN_CHECK_KIND(Value, s >= 0, "from_dlpack: strides must not be negative, got ", dims_str(strides),
                    " (copy the array first)");
  const size_t nbytes = static_cast<size_t>(span_elements(sizes, strides)) * item_size(dtype);
  Ref<Storage> storage = Storage::wrap(
      static_cast<char*>(v.data) + v.byte_offset, nbytes, device,
      [](void* p) {
        if (!Py_IsInitialized()) return;
        Gil gil;  // the owner may be Python code
        auto* managed = static_cast<M*>(p);
        if (managed->deleter) managed->deleter(managed);
      },
      m);
  if (PyCapsule_SetName(capsule, kUsed<M>) < 0) throw PythonError();
  return Tensor(TensorImpl::make(std::move(storage), dtype, sizes, strides, 0));
}

Tensor import_capsule(PyObject* c) {
  if (PyCapsule_IsValid(c, kName<ManagedVersioned>)) return import_as<ManagedVersioned>(c);
  PYNN_CHECK(
      PyCapsule_IsValid(c, kName<Managed>),
      "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might "
      "have already constructed a tensor from it once.");
  return import_as<Managed>(c);
}

PyObject* from_dlpack_function(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    static const Parameters params("from_dlpack", {"ext_tensor", "device", "copy"}, 1, 1);
    PyObject* a[3];
    params.parse(args, nargs, kwnames, a);
    const bool copy = a[2] && a[2] != Py_None && bool_arg("from_dlpack", "copy", a[2]);
    return wrap(convert(from_dlpack(a[0]), {}, device_arg("from_dlpack", a[1]), copy));
  });
}

PyMethodDef methods[] = {
    {"__dlpack__", PYNN_FASTCALL(to_dlpack), "A DLPack capsule that shares the tensor's memory."},
    {"__dlpack_device__", dlpack_device, METH_NOARGS, "The DLPack device: (1, 0) for the CPU, (2, index) for CUDA."},
    {}};

}  // namespace

Tensor from_dlpack(PyObject* source) {
  if (PyCapsule_CheckExact(source)) return import_capsule(source);
  Object method(PyObject_GetAttrString(source, "__dlpack__"));
  if (!method) {
    PyErr_Clear();
    fail(ErrorKind::Runtime, "from_dlpack: an object with __dlpack__ or a DLPack capsule is required, got ",
         Py_TYPE(source)->tp_name);
  }
  Object none(checked(PyTuple_New(0))), kwargs(checked(Py_BuildValue("{s:(ii)}", "max_version", 1, 0)));
  // Memory of a GPU must be ready for our stream there.
  Object device_method(PyObject_GetAttrString(source, "__dlpack_device__"));
  if (!device_method) PyErr_Clear();
  if (device_method) {
    const Object pair(checked(PyObject_CallNoArgs(device_method.get())));
    const Object parts(checked(PySequence_Tuple(pair.get())));
    int type = 0, index = 0;  // the type may be an IntEnum
    if (!PyArg_ParseTuple(parts.get(), "ii", &type, &index)) throw PythonError();
    const Device device = device_from({type, index});
    if (device.is_cuda()) {
      const intptr_t stream = dlpack::streams->current(device.index);
      const Object number(checked(PyLong_FromSsize_t(stream ? stream : 1)));
      if (PyDict_SetItemString(kwargs.get(), "stream", number.get()) < 0) throw PythonError();
    }
  }
  Object capsule(PyObject_Call(method.get(), none.get(), kwargs.get()));
  if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {  // before DLPack 1.0
    PyErr_Clear();
    if (PyDict_DelItemString(kwargs.get(), "max_version") < 0) throw PythonError();
    capsule = Object(PyObject_Call(method.get(), none.get(), kwargs.get()));
  }
  return import_capsule(checked(capsule.get()));
}

void init_dlpack(PyObject* module) {
  static PyMethodDef functions[] = {
      {"from_dlpack", PYNN_FASTCALL(from_dlpack_function),
       "from_dlpack(ext_tensor, *, device=None, copy=None) -> Tensor\n\n"
       "A tensor that shares memory with an object of another package. Same as torch.from_dlpack."},
      {}};
  add_functions(module, functions);
  add_methods(methods);
}

}  // namespace pynn::python
