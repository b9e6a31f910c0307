// types.cpp -- dtype, device, memory_format and Size as Python sees them.
#include <array>

#include "python/py.h"

namespace pynn::python {
namespace {

// A dtype of PyTorch that no tensor has here: programs name it in tables and tests.
struct NameOnly {
  const char* name;
  size_t size;
  bool floating, is_signed, complex = false;
};
constexpr NameOnly kNameOnly[] = {
    {"uint16", 2, false, false},         {"uint32", 4, false, false},        {"uint64", 8, false, false},
    {"float8_e4m3fn", 1, true, true},    {"float8_e5m2", 1, true, true},     {"float8_e4m3fnuz", 1, true, true},
    {"float8_e5m2fnuz", 1, true, true},  {"float8_e8m0fnu", 1, true, false}, {"complex32", 4, false, true, true},
    {"float4_e2m1fn_x2", 1, true, true}, {"qint8", 1, false, true},          {"quint8", 1, false, false},
    {"qint32", 4, false, true},          {"quint4x2", 1, false, false}};

struct PyDType {
  PyObject_HEAD DType type;
  const NameOnly* only;  // null for the dtypes that tensors have
};
struct PyDevice {
  PyObject_HEAD Device device;
};

struct PyFormat {
  PyObject_HEAD MemoryFormat format;
};

PyTypeObject *DTypeType, *DeviceType_, *SizeType, *FormatType;
std::array<PyObject*, kDTypes> dtypes;

const NameOnly* name_only(PyObject* self) { return reinterpret_cast<PyDType*>(self)->only; }
DType type_of(PyObject* self) {
  PYNN_CHECK_KIND(Type, !name_only(self), "dtype: tensors of ", name_only(self)->name, " are not supported");
  return reinterpret_cast<PyDType*>(self)->type;
}
const char* name_of(PyObject* self) { return name_only(self) ? name_only(self)->name : dtype_name(type_of(self)); }
PyObject* dtype_repr(PyObject* self) { return PyUnicode_FromFormat("torch.%s", name_of(self)); }
PyObject* dtype_reduce(PyObject* self, PyObject*) {  // pickles as the name in the module
  return PyUnicode_FromString(name_of(self));
}

// complex64 -> float32, and back.
PyObject* dtype_to_real(PyObject* self, PyObject*) {
  if (const NameOnly* only = name_only(self)) return only->complex ? wrap(DType::Float16) : Py_NewRef(self);
  return wrap(real_of(type_of(self)));
}
PyObject* dtype_to_complex(PyObject* self, PyObject*) {
  return guard([&] {
    const DType t = type_of(self);
    PYNN_CHECK(t >= DType::Float32 && !is_integral(t), "to_complex: Unknown Complex ScalarType for ", dtype_name(t));
    return wrap(complex_of(t));
  });
}

PyMethodDef dtype_methods[] = {
    {"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
    {"to_real", dtype_to_real, METH_NOARGS, "to_real() -> dtype\n\nOf the parts of a complex dtype, else itself."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "to_complex() -> dtype\n\nThe complex dtype with such parts."},
    {}};
PyGetSetDef dtype_getset[] = {
    {"is_floating_point",
     [](PyObject* s, void*) {
       return PyBool_FromLong(name_only(s) ? name_only(s)->floating : is_floating(type_of(s)));
     },
     nullptr, "True for the float types.", nullptr},
    {"is_complex",
     [](PyObject* s, void*) { return PyBool_FromLong(name_only(s) ? name_only(s)->complex : is_complex(type_of(s))); },
     nullptr, "True for the complex types.", nullptr},
    {"is_signed",
     [](PyObject* s, void*) { return PyBool_FromLong(name_only(s) ? name_only(s)->is_signed : is_signed(type_of(s))); },
     nullptr, "True if negative values exist.", nullptr},
    {"itemsize",
     [](PyObject* s, void*) { return PyLong_FromSize_t(name_only(s) ? name_only(s)->size : item_size(type_of(s))); },
     nullptr, "Bytes of one element.", nullptr},
    {}};
PyType_Slot dtype_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(dtype_repr)},
                             {Py_tp_methods, dtype_methods},
                             {Py_tp_getset, dtype_getset},
                             {Py_tp_doc, const_cast<char*>("The type of a tensor's elements.")},
                             {0, nullptr}};
PyType_Spec dtype_spec = {"pynn.dtype", sizeof(PyDType), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                          dtype_slots};

constexpr const char* kFormats[] = {"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"};
const char* format_name(PyObject* self) {
  return kFormats[static_cast<int>(reinterpret_cast<PyFormat*>(self)->format)];
}
PyObject* format_repr(PyObject* self) { return PyUnicode_FromFormat("torch.%s", format_name(self)); }
PyObject* format_reduce(PyObject* self, PyObject*) { return PyUnicode_FromString(format_name(self)); }
PyMethodDef format_methods[] = {{"__reduce__", format_reduce, METH_NOARGS, nullptr}, {}};
PyType_Slot format_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(format_repr)},
                              {Py_tp_methods, format_methods},
                              {Py_tp_doc, const_cast<char*>("How the elements of a tensor lie in memory.")},
                              {0, nullptr}};
PyType_Spec format_spec = {"pynn.memory_format", sizeof(PyFormat), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, format_slots};

const char* device_type_name(Device d) { return d.is_cpu() ? "cpu" : d.is_cuda() ? "cuda" : "meta"; }
Device dev(PyObject* self) { return reinterpret_cast<PyDevice*>(self)->device; }

PyObject* device_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  return guard([&]() -> PyObject* {
    static const char* names[] = {"type", "index", nullptr};
    PyObject *type = nullptr, *index = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", const_cast<char**>(names), &type, &index)) return nullptr;
    Device d = device_of(type);
    if (index != Py_None) {
      const long i = PyLong_AsLong(index);
      if (i == -1 && PyErr_Occurred()) return nullptr;
      PYNN_CHECK(d.index < 0,
                 "device: type (string) must not include an index because index was passed explicitly: ", d.str());
      PYNN_CHECK(i >= 0 && i < 128, "device: index must be at least 0 and below 128, got ", i);
      d.index = static_cast<int8_t>(i);
    }
    return wrap(d);
  });
}
PyObject* device_repr(PyObject* self) {
  const Device d = dev(self);
  if (d.index < 0) return PyUnicode_FromFormat("device(type='%s')", device_type_name(d));
  return PyUnicode_FromFormat("device(type='%s', index=%d)", device_type_name(d), d.index);
}
PyObject* device_str(PyObject* self) { return PyUnicode_FromString(dev(self).str().c_str()); }
PyObject* device_compare(PyObject* a, PyObject* b, int op) {
  if (Py_TYPE(b) != DeviceType_ || (op != Py_EQ && op != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
  return PyBool_FromLong((dev(a) == dev(b)) == (op == Py_EQ));
}
Py_hash_t device_hash(PyObject* self) { return static_cast<int>(dev(self).type) * 256 + dev(self).index + 1; }
PyObject* device_reduce(PyObject* self, PyObject*) {
  return Py_BuildValue("(O(s))", DeviceType_, dev(self).str().c_str());
}
PyObject* call_device_mode(const char* name, PyObject* argument) {
  Object module(PyImport_ImportModule("pynn.utils._device"));
  return module ? PyObject_CallMethod(module.get(), name, argument ? "O" : nullptr, argument) : nullptr;
}
PyObject* device_enter(PyObject* self, PyObject*) { return call_device_mode("_enter", self); }
PyObject* device_exit(PyObject*, PyObject*) { return call_device_mode("_leave", nullptr); }
PyMethodDef device_methods[] = {{"__reduce__", device_reduce, METH_NOARGS, nullptr},
                                {"__enter__", device_enter, METH_NOARGS, "Makes new tensors on the device."},
                                {"__exit__", device_exit, METH_VARARGS, nullptr},
                                {}};
PyGetSetDef device_getset[] = {
    {"type", [](PyObject* s, void*) { return PyUnicode_FromString(device_type_name(dev(s))); }, nullptr, nullptr,
     nullptr},
    {"index", [](PyObject* s, void*) { return dev(s).index < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(dev(s).index); },
     nullptr, nullptr, nullptr},
    {}};
PyType_Slot device_slots[] = {{Py_tp_new, reinterpret_cast<void*>(device_new)},
                              {Py_tp_repr, reinterpret_cast<void*>(device_repr)},
                              {Py_tp_str, reinterpret_cast<void*>(device_str)},
                              {Py_tp_richcompare, reinterpret_cast<void*>(device_compare)},
                              {Py_tp_hash, reinterpret_cast<void*>(device_hash)},
                              {Py_tp_methods, device_methods},
                              {Py_tp_getset, device_getset},
                              {Py_tp_doc, const_cast<char*>("Where a tensor's memory is: cpu, cuda:N or meta.")},
                              {0, nullptr}};
PyType_Spec device_spec = {"pynn.device", sizeof(PyDevice), 0, Py_TPFLAGS_DEFAULT, device_slots};

PyObject* size_repr(PyObject* self) {
  Object list(PySequence_List(self));
  return list ? PyUnicode_FromFormat("torch.Size(%R)", list.get()) : nullptr;
}
PyObject* size_numel(PyObject* self, PyObject*) {
  long long n = 1;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    const long long s = PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
    if (s == -1 && PyErr_Occurred()) return nullptr;
    n *= s;
  }
  return PyLong_FromLongLong(n);
}
PyObject* size_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  Object self(PyTuple_Type.tp_new(type, args, kwargs));
  if (!self) return nullptr;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self.get()); ++i) {
    PyObject* item = PyTuple_GET_ITEM(self.get(), i);
    if (PyLong_Check(item)) continue;
    PyObject* as_int = PyIndex_Check(item) ? PyNumber_Index(item) : nullptr;
    if (!as_int) {
      PyErr_Clear();
      return PyErr_Format(PyExc_TypeError, "torch.Size() takes an iterable of 'int' (item %zd is '%s')", i,
                          Py_TYPE(item)->tp_name);
    }
    PyTuple_SET_ITEM(self.get(), i, as_int);  // the tuple is still ours alone
    Py_DECREF(item);
  }
  return self.release();
}
PyObject* size_from(PyObject* tuple) {  // tuple's own result, as a Size
  if (!tuple || !PyTuple_CheckExact(tuple)) return tuple;
  PyObject* out = PyObject_CallOneArg(reinterpret_cast<PyObject*>(SizeType), tuple);
  Py_DECREF(tuple);
  return out;
}
PyObject* size_subscript(PyObject* self, PyObject* index) {
  return size_from(PyTuple_Type.tp_as_mapping->mp_subscript(self, index));
}
PyObject* size_concat(PyObject* a, PyObject* b) { return size_from(PyTuple_Type.tp_as_sequence->sq_concat(a, b)); }
PyObject* size_reduce(PyObject* self, PyObject*) { return Py_BuildValue("(O(N))", SizeType, PySequence_Tuple(self)); }
PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "The number of elements of a tensor of this size."},
                              {"__reduce__", size_reduce, METH_NOARGS, nullptr},
                              {}};
PyType_Slot size_slots[] = {{Py_tp_new, reinterpret_cast<void*>(size_new)},
                            {Py_tp_repr, reinterpret_cast<void*>(size_repr)},
                            {Py_tp_methods, size_methods},
                            {Py_mp_subscript, reinterpret_cast<void*>(size_subscript)},
                            {Py_sq_concat, reinterpret_cast<void*>(size_concat)},
                            {Py_tp_doc, const_cast<char*>("The sizes of a tensor: a tuple of ints.")},
                            {0, nullptr}};
PyType_Spec size_spec = {"pynn.Size", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, size_slots};

void add_dtype(PyObject* module, DType t, const char* alias) {
  PyModule_AddObjectRef(module, dtype_name(t), dtypes[static_cast<int>(t)]);
  if (alias) PyModule_AddObjectRef(module, alias, dtypes[static_cast<int>(t)]);
}

}  // namespace

PyObject* wrap(DType t) { return Py_NewRef(dtypes[static_cast<int>(t)]); }

PyObject* wrap(Device d) {
  static PyObject* cpu = nullptr;
  if (d == Device{} && cpu) return Py_NewRef(cpu);
  PyDevice* o = PyObject_New(PyDevice, DeviceType_);
  if (!o) return nullptr;
  o->device = d;
  if (d == Device{}) cpu = Py_NewRef(reinterpret_cast<PyObject*>(o));
  return reinterpret_cast<PyObject*>(o);
}

PyObject* wrap_size(Dims d) {
  PyObject* t = SizeType->tp_alloc(SizeType, static_cast<Py_ssize_t>(d.size()));
  if (!t) return nullptr;
  for (size_t i = 0; i < d.size(); ++i) PyTuple_SET_ITEM(t, i, PyLong_FromLongLong(d[i]));
  return t;
}

bool is_dtype(PyObject* o) {
  return Py_TYPE(o) == DTypeType || o == reinterpret_cast<PyObject*>(&PyFloat_Type) ||
         o == reinterpret_cast<PyObject*>(&PyLong_Type) || o == reinterpret_cast<PyObject*>(&PyBool_Type);
}

DType dtype_of(PyObject* o) {
  if (Py_TYPE(o) == DTypeType) return type_of(o);
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return DType::Float64;
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return DType::Int64;
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::Bool;
  fail(ErrorKind::Type, "dtype: must be a dtype, got ", Py_TYPE(o)->tp_name);
}

bool is_format(PyObject* o) { return Py_TYPE(o) == FormatType; }
MemoryFormat format_of(PyObject* o) { return reinterpret_cast<PyFormat*>(o)->format; }

bool is_device_like(PyObject* o) { return Py_TYPE(o) == DeviceType_ || PyUnicode_Check(o); }

Device device_of(PyObject* o) {
  if (Py_TYPE(o) == DeviceType_) return dev(o);
  if (PyUnicode_Check(o)) {
    Py_ssize_t n;
    const char* s = PyUnicode_AsUTF8AndSize(o, &n);
    if (!s) throw PythonError();
    return parse_device({s, static_cast<size_t>(n)});
  }
  if (PyLong_Check(o) && !PyBool_Check(o)) {
    const long i = PyLong_AsLong(o);
    if (i == -1 && PyErr_Occurred()) throw PythonError();
    PYNN_CHECK(i >= 0 && i < 128, "device: index must be at least 0 and below 128, got ", i);
    return Device{DeviceType::Cuda, static_cast<int8_t>(i)};
  }
  fail(ErrorKind::Type, "device: must be a device, a str or an int, got ", Py_TYPE(o)->tp_name);
}

void init_types(PyObject* module) {
  DTypeType = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&dtype_spec)));
  DeviceType_ = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&device_spec)));
  Object bases(checked(PyTuple_Pack(1, &PyTuple_Type)));
  SizeType = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpecWithBases(&size_spec, bases.get())));
  FormatType = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&format_spec)));
  PyModule_AddObjectRef(module, "dtype", reinterpret_cast<PyObject*>(DTypeType));
  PyModule_AddObjectRef(module, "device", reinterpret_cast<PyObject*>(DeviceType_));
  PyModule_AddObjectRef(module, "memory_format", reinterpret_cast<PyObject*>(FormatType));
  PyModule_AddObjectRef(module, "Size", reinterpret_cast<PyObject*>(SizeType));
  for (int i = 0; i < kDTypes; ++i) {
    PyDType* o = PyObject_New(PyDType, DTypeType);
    if (!o) throw PythonError();
    o->type = static_cast<DType>(i);
    o->only = nullptr;
    dtypes[i] = reinterpret_cast<PyObject*>(o);
  }
  for (size_t i = 0; i < std::size(kFormats); ++i) {
    PyFormat* o = PyObject_New(PyFormat, FormatType);
    if (!o) throw PythonError();
    o->format = static_cast<MemoryFormat>(i);
    if (PyModule_AddObject(module, kFormats[i], reinterpret_cast<PyObject*>(o)) < 0) throw PythonError();
  }
  add_dtype(module, DType::Bool, nullptr);
  add_dtype(module, DType::UInt8, nullptr);
  add_dtype(module, DType::Int8, nullptr);
  add_dtype(module, DType::Int16, "short");
  add_dtype(module, DType::Int32, "int");
  add_dtype(module, DType::Int64, "long");
  add_dtype(module, DType::Float16, "half");
  add_dtype(module, DType::BFloat16, nullptr);
  add_dtype(module, DType::Float32, "float");
  add_dtype(module, DType::Float64, "double");
  add_dtype(module, DType::Complex64, "cfloat");
  add_dtype(module, DType::Complex128, "cdouble");
  for (const NameOnly& only : kNameOnly) {
    PyDType* o = PyObject_New(PyDType, DTypeType);
    if (!o) throw PythonError();
    o->type = DType::Bool;
    o->only = &only;
    if (PyModule_AddObject(module, only.name, reinterpret_cast<PyObject*>(o)) < 0) throw PythonError();
  }
}

}  // namespace pynn::python
