#include "python/fastcall.h"

#include <cstring>

#include "python/convert.h"
#include "python/observe.h"

namespace pynn::python {
namespace {

bool is_int(PyObject* o) { return PyLong_Check(o) || (!PyFloat_Check(o) && !is_tensor(o) && PyIndex_Check(o)); }

bool parse_int(PyObject* o, int64_t& out) {
  if (PyLong_CheckExact(o)) [[likely]] {
    out = PyLong_AsLongLong(o);
  } else if (is_tensor(o)) {
    const Tensor& t = tensor_of(o);
    if (t.numel() != 1 || !is_integral(t.dtype())) return false;
    Object i(PyNumber_Index(o));
    if (!i) return false;
    out = PyLong_AsLongLong(i.get());
  } else if (is_int(o)) {
    Object i(PyNumber_Index(o));
    if (!i) return false;
    out = PyLong_AsLongLong(i.get());
  } else {
    return false;
  }
  if (out == -1 && PyErr_Occurred()) throw PythonError();  // too large
  return true;
}

bool parse_double(PyObject* o, double& out) {
  if (PyFloat_CheckExact(o)) {
    out = PyFloat_AS_DOUBLE(o);
    return true;
  }
  if (is_tensor(o) ? tensor_of(o).numel() != 1 : !is_number(o)) return false;
  out = PyFloat_AsDouble(o);
  if (out == -1 && PyErr_Occurred()) throw PythonError();
  return true;
}

bool is_numpy_bool(PyObject* o) {
  const char* name = Py_TYPE(o)->tp_name;
  return strcmp(name, "numpy.bool") == 0 || strcmp(name, "numpy.bool_") == 0;
}

template <class F>
bool each_item(PyObject* o, F&& f) {
  if (PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i)
      if (!f(PyTuple_GET_ITEM(o, i))) return false;
    return true;
  }
  if (PyList_Check(o)) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i)  // asked anew: f may run Python code
      if (!f(PyList_GET_ITEM(o, i))) return false;
    return true;
  }
  return false;
}

bool parse_ints(PyObject* o, Frame& f, Dims& out, bool sequence) {
  auto& ints = f.ints[f.nints];
  int64_t one;
  if (PyTuple_Check(o) || PyList_Check(o)) {
    ints.clear();
    if (!each_item(o, [&](PyObject* item) {
          if (!parse_int(item, one)) return false;
          ints.push_back(one);
          return true;
        }))
      return false;
  } else {
    if (sequence || !parse_int(o, one)) return false;
    ints.clear();
    ints.push_back(one);
  }
  ++f.nints;
  out = Dims(ints.data(), ints.size());
  return true;
}

bool parse_tensors(PyObject* o, Frame& f, TensorSpan& out) {
  auto& list = f.tensors[f.ntensors];
  list.clear();
  const auto add = [&](PyObject* item) {
    if (!is_tensor(item)) return false;
    list.push_back(tensor_of(item));
    return true;
  };
  if (PyTuple_Check(o) || PyList_Check(o)) {
    if (!each_item(o, add)) return false;
  } else if (is_tensor(o)) {
    return false;
  } else {
    Object items(PySequence_Check(o) ? PySequence_Tuple(o) : nullptr);
    if (!items) {
      PyErr_Clear();
      return false;
    }
    if (!each_item(items.get(), add)) return false;
  }
  ++f.ntensors;
  out = list;
  return true;
}

}  // namespace

bool parse_value(const ParamSpec& p, PyObject* o, Frame& f, Value& v) {
  switch (p.kind) {
    case Kind::Tensor:
    case Kind::OptTensor:
      if (is_tensor(o)) [[likely]] {
        v.tensor = &tensor_of(o);
        v.given = Kind::Tensor;
        return true;
      }
      if (p.kind == Kind::OptTensor && o == Py_None) {
        v.given = Kind::None;
        return true;
      }
      return false;
    case Kind::Other:
      return parse_other(o, v);
    case Kind::Number:
    case Kind::OptNumber:
      if (p.kind == Kind::OptNumber && o == Py_None) {
        v.given = Kind::None;
        return true;
      }
      if (is_tensor(o) ? tensor_of(o).numel() != 1 || tensor_of(o).requires_grad() : !is_scalar(o)) return false;
      v.scalar = scalar_of(o);
      v.given = Kind::Number;
      return true;
    default:
      break;
  }
  if (o == Py_None) {
    v.given = Kind::None;
    return p.kind == Kind::OptInt || p.kind == Kind::OptInts || p.kind == Kind::OptFloat || p.kind == Kind::OptBool ||
           p.kind == Kind::OptStr || p.kind == Kind::OptType || p.kind == Kind::OptDevice ||
           p.kind == Kind::OptFormat || p.kind == Kind::Rng;
  }
  v.given = p.kind;
  switch (p.kind) {
    case Kind::Int:
    case Kind::OptInt:
      return parse_int(o, v.i);
    case Kind::Ints:
    case Kind::OptInts:
      return parse_ints(o, f, v.ints, p.sequence);
    case Kind::Tensors:
      return parse_tensors(o, f, v.tensors);
    case Kind::Float:
    case Kind::OptFloat:
      return parse_double(o, v.f);
    case Kind::Bool:
    case Kind::OptBool:
      if (PyBool_Check(o)) {
        v.b = o == Py_True;
        return true;
      }
      return false;  // not an int: x.var(1) names a dim
    case Kind::Str:
    case Kind::OptStr: {
      if (!PyUnicode_Check(o)) return false;
      Py_ssize_t n;
      const char* s = PyUnicode_AsUTF8AndSize(o, &n);
      if (!s) throw PythonError();
      v.str = {s, static_cast<size_t>(n)};
      return true;
    }
    case Kind::Type:
    case Kind::OptType:
      if (!is_dtype(o)) return false;
      v.type = dtype_of(o);
      return true;
    case Kind::OptDevice:
      if (!is_device_like(o) && !PyLong_Check(o)) return false;
      v.device = device_of(o);
      return true;
    case Kind::Format:
    case Kind::OptFormat:
      if (!is_format(o)) return false;
      v.format = format_of(o);
      return true;
    case Kind::Rng:
      v.generator = generator_of(o);
      return v.generator != nullptr;
    default:
      return false;
  }
}

const char* kind_name(Kind k) {
  switch (k) {
    case Kind::Tensor:
      return "Tensor";
    case Kind::OptTensor:
      return "Tensor or None";
    case Kind::Tensors:
      return "tuple of Tensors";
    case Kind::Other:
      return "Tensor or Number";
    case Kind::Int:
      return "int";
    case Kind::OptInt:
      return "int or None";
    case Kind::Ints:
      return "tuple of ints";
    case Kind::OptInts:
      return "tuple of ints or None";
    case Kind::Float:
      return "float";
    case Kind::OptFloat:
      return "float or None";
    case Kind::Bool:
      return "bool";
    case Kind::OptBool:
      return "bool or None";
    case Kind::Number:
      return "Number";
    case Kind::OptNumber:
      return "Number or None";
    case Kind::Str:
      return "str";
    case Kind::OptStr:
      return "str or None";
    case Kind::Type:
      return "dtype";
    case Kind::OptType:
      return "dtype or None";
    case Kind::OptDevice:
      return "device or None";
    case Kind::Format:
    case Kind::OptFormat:
      return "torch.memory_format";
    case Kind::Rng:
      return "Generator or None";
    default:
      return "None";
  }
}

namespace {

bool names(PyObject* given, const ParamSpec& p) { return is_name(given, p.key) || is_name(given, p.alias); }
bool is_of_creation(const Schema& s, PyObject* given) {
  return s.accepts_layout && (PyUnicode_CompareWithASCIIString(given, "layout") == 0 ||
                              PyUnicode_CompareWithASCIIString(given, "pin_memory") == 0);
}

}  // namespace

bool is_number(PyObject* o) {
  if (PyFloat_Check(o) || PyLong_Check(o)) return true;
  if (is_tensor(o)) return false;
  // NumPy scalars convert; arrays and sequences do not count as numbers.
  const PyNumberMethods* n = Py_TYPE(o)->tp_as_number;
  return n && (n->nb_float || n->nb_index) && !is_complex_number(o) && !PySequence_Check(o) && !PyUnicode_Check(o);
}

// NumPy's complex128 is a Python complex, its complex64 is not.
bool is_complex_number(PyObject* o) {
  return PyComplex_Check(o) || (Py_TYPE(o)->tp_name[0] == 'n' && strcmp(Py_TYPE(o)->tp_name, "numpy.complex64") == 0);
}
bool is_scalar(PyObject* o) { return is_number(o) || is_complex_number(o); }

Scalar scalar_of(PyObject* o) {
  if (PyFloat_Check(o)) return Scalar(PyFloat_AS_DOUBLE(o));
  if (PyBool_Check(o)) return Scalar(o == Py_True);
  if (is_complex_number(o)) {
    const Py_complex z = PyComplex_AsCComplex(o);
    if (z.real == -1 && PyErr_Occurred()) throw PythonError();
    return Scalar(Complex128{z.real, z.imag});
  }
  if (is_tensor(o)) {
    Object item(checked(PyObject_CallMethod(o, "item", nullptr)));
    return scalar_of(item.get());
  }
  if (PyIndex_Check(o)) {
    Object i(checked(PyNumber_Index(o)));
    const long long v = PyLong_AsLongLong(i.get());
    if (v == -1 && PyErr_Occurred()) throw PythonError();
    return Scalar(static_cast<int64_t>(v));
  }
  if (is_numpy_bool(o)) return Scalar(PyObject_IsTrue(o) == 1);
  const double f = PyFloat_AsDouble(o);
  if (f == -1 && PyErr_Occurred()) throw PythonError();
  return Scalar(f);
}

int64_t int_of(const char* op, PyObject* o) {
  int64_t v;
  if (!parse_int(o, v)) fail(ErrorKind::Type, op, ": an int is required, got ", Py_TYPE(o)->tp_name);
  return v;
}

bool parse_other(PyObject* o, Value& v) {
  if (is_tensor(o)) [[likely]] {
    v.tensor = &tensor_of(o);
    v.given = Kind::Tensor;
    return true;
  }
  if (!is_scalar(o)) return false;
  v.scalar = scalar_of(o);
  v.given = Kind::Number;
  return true;
}

bool parse(const Schema& s, Frame& f, PyObject* const* args, size_t nargs, PyObject* kwnames, bool quiet) {
  const size_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  const char* op = s.name.c_str();
  PyObject* const* kwvalues = args + nargs;
  size_t used_kw = 0;
  for (size_t i = 0; i < s.params.size(); ++i) {
    const ParamSpec& p = *s.params[i];
    PyObject* o = nullptr;
    if (i < nargs && !p.kwonly) {
      if (p.varargs && (nargs > i + 1 || !(PyTuple_Check(args[i]) || PyList_Check(args[i])))) {
        // The rest are the sizes themselves.
        auto& ints = f.ints[f.nints++];
        for (size_t j = i; j < nargs; ++j) {
          int64_t v;
          if (!parse_int(args[j], v)) {
            if (quiet) return false;
            fail(ErrorKind::Type, op, ": argument '", p.name, "' must be ints, got ", Py_TYPE(args[j])->tp_name,
                 " at position ", j);
          }
          ints.push_back(v);
        }
        f.values[i].given = p.kind;
        f.values[i].ints = Dims(ints.data(), ints.size());
        nargs = i + 1;
        continue;
      }
      o = args[i];
    } else {
      for (size_t k = 0; k < nkw; ++k) {
        PyObject* given = PyTuple_GET_ITEM(kwnames, k);
        if (names(given, p)) {
          o = kwvalues[k];
          ++used_kw;
          break;
        }
      }
      if (!o) {
        if (p.required) {
          if (quiet) return false;
          fail(ErrorKind::Type, op, "() missing required argument: '", p.name, "' (", kind_name(p.kind), ")");
        }
        f.values[i] = p.fallback;
        continue;
      }
    }
    if (!parse_value(p, o, f, f.values[i])) {
      if (PyErr_Occurred()) PyErr_Clear();
      if (quiet) return false;
      fail(ErrorKind::Type, op, "(): argument '", p.name, "' must be ", kind_name(p.kind), ", not ",
           o == Py_None ? "None" : Py_TYPE(o)->tp_name);
    }
  }
  if (nargs > s.npositional) {
    if (quiet) return false;
    fail(ErrorKind::Type, op, "() takes ", s.npositional, " positional arguments but ", nargs, " were given");
  }
  if (used_kw < nkw) {
    for (size_t k = 0; k < nkw; ++k) {
      PyObject* given = PyTuple_GET_ITEM(kwnames, k);
      bool known = is_of_creation(s, given), twice = false;
      for (size_t i = 0; i < s.params.size(); ++i) {
        const ParamSpec& p = *s.params[i];
        if (!names(given, p)) continue;
        known = true;
        twice |= i < nargs && !p.kwonly;
        for (size_t other = 0; other < k; ++other) twice |= names(PyTuple_GET_ITEM(kwnames, other), p);
      }
      if (known && !twice) continue;
      if (quiet) return false;
      fail(ErrorKind::Type, op,
           twice ? "() got multiple values for argument '" : "() got an unexpected keyword argument '",
           PyUnicode_AsUTF8(given), "'");
    }
  }
  return true;
}

namespace {

// Ops take for granted that their tensors are on one device. A CPU tensor without dims goes along with any other, as a
// number would; what is written to stays where it is.
[[gnu::cold]] void call_across_devices(const OpDef& def, const Value* values, Result& result, bool inplace) {
  const std::string_view op = def.name();
  std::optional<Device> device;
  const auto look = [&](const Tensor& t, bool fixed) {
    if (t.device().is_cpu() && t.dim() == 0 && !fixed) return;
    PYNN_CHECK(!device || *device == t.device(), op, ": expected all tensors to be on the same device, got ",
               device->str(), " and ", t.device().str());
    device = t.device();
  };
  inplace |= op.ends_with('_');
  for (size_t i = 0; i < def.nkinds; ++i) {
    if (values[i].given == Kind::Tensor) look(*values[i].tensor, i == 0 && inplace);
    if (values[i].given == Kind::Tensors)
      for (const Tensor& t : values[i].tensors) look(t, true);
  }
  bool strangers = false;
  for (size_t i = 0; i < def.nkinds; ++i)
    strangers |= values[i].given == Kind::Tensor && !(values[i].tensor->device() == *device);
  if (!strangers) return def.call(values, result);
  Value moved[kMaxParams];
  Tensor keep[kMaxParams];
  for (size_t i = 0; i < def.nkinds; ++i) {
    moved[i] = values[i];
    if (values[i].given != Kind::Tensor || values[i].tensor->device() == *device) continue;
    keep[i] = convert(*values[i].tensor, {}, *device, false);
    moved[i].tensor = &keep[i];
  }
  def.call(moved, result);
}

}  // namespace

bool knows_keyword(const Schema& s, PyObject* name) {
  if (is_of_creation(s, name)) return true;
  for (const auto& p : s.params)
    if (names(name, *p)) return true;
  return false;
}

void call_op(const OpDef& def, const Value* values, Result& result, bool inplace) {
  if (observers.load(std::memory_order_relaxed)) [[unlikely]]
    return call_observed(def, values, result, inplace);
  call_unobserved(def, values, result, inplace);
}

void call_unobserved(const OpDef& def, const Value* values, Result& result, bool inplace) {
  constexpr int64_t kReleaseAt = 1 << 15;  // elements: from about 10 us on, other Python threads get to run
  int64_t largest = 0;
  bool elsewhere = false;  // not all on the CPU
  for (size_t i = 0; i < def.nkinds; ++i) {
    if (values[i].given == Kind::Tensor) {
      largest = std::max(largest, values[i].tensor->numel());
      elsewhere |= !values[i].tensor->device().is_cpu();
    } else if (values[i].given == Kind::Tensors) {
      for (const Tensor& t : values[i].tensors) {
        largest = std::max(largest, t.numel());
        elsewhere |= !t.device().is_cpu();
      }
    } else if (values[i].given == Kind::Ints) {
      int64_t n = 1;
      for (int64_t d : values[i].ints)
        if (__builtin_mul_overflow(n, d, &n)) break;
      largest = std::max(largest, n);
    }
  }
  if (elsewhere && !(def.flags & kAnyDevice)) [[unlikely]]
    return call_across_devices(def, values, result, inplace);
  NoGil release(largest >= kReleaseAt);
  def.call(values, result);
}

PyObject* wrap_result(const Schema& s, Result& r) {
  switch (r.tag) {
    case Result::Tag::Tensor:
      return wrap(std::move(r.tensor));
    case Result::Tag::Int:
      return PyLong_FromLongLong(r.i);
    case Result::Tag::Float:
      return PyFloat_FromDouble(r.f);
    case Result::Tag::Bool:
      return PyBool_FromLong(r.i != 0);
    case Result::Tag::Tuple:
    case Result::Tag::List: {
      PyObject* out = s.result_type && r.tag == Result::Tag::Tuple
                          ? PyStructSequence_New(s.result_type)
                          : PyTuple_New(static_cast<Py_ssize_t>(r.tensors.size()));
      if (!out) return nullptr;
      for (size_t i = 0; i < r.tensors.size(); ++i) {
        PyObject* item = wrap(std::move(r.tensors[i]));
        if (!item) {
          Py_DECREF(out);
          return nullptr;
        }
        PyTuple_SET_ITEM(out, i, item);  // a structseq is laid out as a tuple
      }
      return out;
    }
    default:
      Py_RETURN_NONE;
  }
}

}  // namespace pynn::python
