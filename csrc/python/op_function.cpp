// op_function.cpp -- the Python object behind torch.softmax and Tensor.softmax: vectorcall into parse() and the op.
//
// As a method it behaves like a function of the interpreter's own (Py_TPFLAGS_METHOD_DESCRIPTOR), so that x.softmax(0)
// builds no bound method.

#include <unordered_map>

#include "autograd/node.h"
#include "core/shape.h"
#include "core/thread_state.h"
#include "ops/assign.h"
#include "python/fastcall.h"
#include "python/hooks.h"
#include "python/overrides.h"

#include <structmember.h>  // after Python.h

namespace pynn::python {
namespace {

struct OpFunction {
  PyObject_HEAD vectorcallfunc vectorcall;
  std::string name;
  std::vector<const Schema*> overloads;
  Form form;
  bool takes_out;
  PyObject* dict;  // attributes that programs set, as on functions written in Python; made when asked for
};
PyTypeObject* OpFunctionType;

[[noreturn]] void no_overload(const OpFunction* f, PyObject* const* args, size_t nargs, PyObject* kwnames) {
  std::string got, forms;
  for (size_t i = 0; i < nargs; ++i) got += (i ? ", " : "") + std::string(Py_TYPE(args[i])->tp_name);
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k)
    got += (got.empty() ? "" : ", ") + std::string(PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, k))) + "=" +
           Py_TYPE(args[nargs + k])->tp_name;
  for (const Schema* s : f->overloads) forms += std::string("\n  ") + s->def->schema;
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); ++k) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, k);
    if (std::none_of(f->overloads.begin(), f->overloads.end(),
                     [&](const Schema* s) { return knows_keyword(*s, name); }))
      fail(ErrorKind::Type, f->name, "() got an unexpected keyword argument '", PyUnicode_AsUTF8(name),
           "'; the forms are:", forms);
  }
  fail(ErrorKind::Type, f->name, "(): no form takes these arguments, got (", got, "); the forms are:", forms);
}

// Writes the results of an op to the tensors given by out=.
void write_out(const char* op, PyObject* out, Result& r) {
  const auto one = [&](PyObject* o, const Tensor& value) {
    if (!is_tensor(o)) fail(ErrorKind::Type, op, "(): argument 'out' must be Tensor, not ", Py_TYPE(o)->tp_name);
    ops::write_out(op, tensor_of(o), value);
    return tensor_of(o);
  };
  if (r.tag == Result::Tag::Tensor) {
    r.tensor = one(out, r.tensor);
    return;
  }
  Object items(checked(PySequence_Tuple(out)));
  if (PyTuple_GET_SIZE(items.get()) != static_cast<Py_ssize_t>(r.tensors.size()))
    fail(ErrorKind::Type, op, "(): out must hold ", r.tensors.size(), " tensors");
  for (size_t i = 0; i < r.tensors.size(); ++i) r.tensors[i] = one(PyTuple_GET_ITEM(items.get(), i), r.tensors[i]);
}

// Whether the op may compute in the memory of `to`: nothing else reads it, and no graph keeps what is not its result.
// Not beside hooks for saved tensors, which make tensors of their own.
bool may_compute_in(const Tensor& to, const Schema& s, const Frame& frame) {
  const bool map = (s.def->flags & kMap) && !is_complex(to.dtype());
  bool free = !thread_state.saved_hooks;
  const auto look_at = [&](const Tensor& t) {
    if (share_memory(t, to))
      free &= map && t.data() == to.data() && same(t.sizes(), to.sizes()) && same(t.strides(), to.strides()) &&
              t.dtype() == to.dtype();
  };
  for (size_t i = 0; i < s.params.size(); ++i) {
    const Value& v = frame.values[i];
    if (v.given == Kind::Tensor && v.tensor->defined()) look_at(*v.tensor);
    if (v.given != Kind::Tensors) continue;
    for (const Tensor& t : v.tensors) look_at(t);
  }
  return free;
}
bool any_requires_grad(const Schema& s, const Frame& frame) {
  const auto asks = [](const Tensor& t) { return t.requires_grad(); };
  for (size_t i = 0; i < s.params.size(); ++i) {
    const Value& v = frame.values[i];
    if (v.given == Kind::Tensor && v.tensor->defined() && asks(*v.tensor)) return true;
    if (v.given == Kind::Tensors && std::any_of(v.tensors.begin(), v.tensors.end(), asks)) return true;
  }
  return false;
}

// The keyword pin_memory= of the ops that make tensors, which no schema names.
PyObject* pin_argument(PyObject* const* args, size_t nargs, PyObject* kwnames) {
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(kwnames); ++k)
    if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, k), "pin_memory") == 0) return args[nargs + k];
  return Py_False;
}

PyObject* call_slow(OpFunction* f, const Schema& s, Frame& frame, PyObject* out) {
  Result r;
  if (f->form == Form::Inplace) {
    const Tensor self = *frame.values[0].tensor;
    ops::check_assign(f->name.c_str(), self);
    for (size_t i = 1; i < s.params.size(); ++i)
      if (frame.values[i].given == Kind::Tensor) ops::check_no_overlap(f->name.c_str(), self, *frame.values[i].tensor);
    // The op may keep its input for backward: give it one that will not be overwritten.
    const bool graph = thread_state.grad_enabled && any_requires_grad(s, frame);
    const Tensor input = graph ? ops::clone_of(self) : self;
    frame.values[0].tensor = &input;
    {
      const Destination destination(s.def->flags & kMap && may_compute_in(self, s, frame) ? &self : nullptr);
      call_op(*s.def, frame.values, r, true);
    }
    ops::assign(f->name.c_str(), self, r.tensor);
    return wrap(self);
  }
  if (f->form == Form::InplaceView) {
    const Tensor self = *frame.values[0].tensor;
    autograd::check_inplace(f->name.c_str(), self);
    const Tensor before = autograd::self_before(self);
    frame.values[0].tensor = &before;
    call_op(*s.def, frame.values, r);
    autograd::become(self, r.tensor);
    return wrap(self);
  }
  {
    const bool graph = thread_state.grad_enabled && out && is_tensor(out) &&
                       (tensor_of(out).requires_grad() || any_requires_grad(s, frame));  // write_out will refuse
    const bool direct = out && is_tensor(out) && !graph && may_compute_in(tensor_of(out), s, frame);
    const Destination destination(direct ? &tensor_of(out) : nullptr);
    call_op(*s.def, frame.values, r);
  }
  if (out) write_out(f->name.c_str(), out, r);
  return wrap_result(s, r);
}

PYNN_INLINE PyObject* call(OpFunction* f, PyObject* const* args, size_t nargs, PyObject* kwnames) {
  // out= is taken out of the arguments, so that schemas need not name it.
  PyObject* out = nullptr;
  SmallVector<PyObject*, 16> rest;
  Object names;
  if (kwnames && f->takes_out) {
    static PyObject* const out_name = PyUnicode_InternFromString("out");
    const Py_ssize_t nkw = PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t k = 0; k < nkw; ++k) {
      if (!is_name(PyTuple_GET_ITEM(kwnames, k), out_name)) continue;
      out = args[nargs + k];
      if (out == Py_None) out = nullptr;
      for (size_t i = 0; i < nargs; ++i) rest.push_back(args[i]);
      names = Object(checked(PyTuple_New(nkw - 1)));
      for (Py_ssize_t j = 0, to = 0; j < nkw; ++j) {
        if (j == k) continue;
        rest.push_back(args[nargs + j]);
        PyTuple_SET_ITEM(names.get(), to++, Py_NewRef(PyTuple_GET_ITEM(kwnames, j)));
      }
      args = rest.data();
      kwnames = names.get();
      break;
    }
  }
  const bool quiet = f->overloads.size() > 1;
  for (const Schema* s : f->overloads) {
    Frame frame;
    if (!parse(*s, frame, args, nargs, kwnames, quiet)) continue;
    if (out || f->form >= Form::Inplace) [[unlikely]]
      return call_slow(f, *s, frame, out);
    Result r;
    call_op(*s->def, frame.values, r);
    if (kwnames && s->accepts_layout) [[unlikely]]
      r.tensor = pinned_if_asked(r.tensor, pin_argument(args, nargs, kwnames));
    return wrap_result(*s, r);
  }
  no_overload(f, args, nargs, kwnames);
}

PyObject* op_vectorcall(PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guard([&]() -> PyObject* {
    auto* f = reinterpret_cast<OpFunction*>(callable);
    const size_t nargs = PyVectorcall_NARGS(nargsf);
    if (may_be_overridden()) [[unlikely]]
      if (PyObject* result = overridden(callable, args, nargs, kwnames)) return result;
    try {
      return call(f, args, nargs, kwnames);
    } catch (const Error&) {  // for want of a tensor, in whose place another class may stand
      if (!may_be_overridden())
        if (PyObject* result = overridden(callable, args, nargs, kwnames)) return result;
      throw;
    }
  });
}

PyObject* op_get(PyObject* self, PyObject* object, PyObject*) {
  if (!object || object == Py_None || reinterpret_cast<OpFunction*>(self)->form == Form::Function)
    return Py_NewRef(self);
  return PyMethod_New(self, object);
}
PyObject* op_repr(PyObject* self) {
  return PyUnicode_FromFormat("<built-in function %s>", reinterpret_cast<OpFunction*>(self)->name.c_str());
}
void op_dealloc(PyObject* self) {
  auto* f = reinterpret_cast<OpFunction*>(self);
  Py_CLEAR(f->dict);
  f->name.~basic_string();
  f->overloads.~vector();
  PyObject_Free(self);
}
PyObject* op_name(PyObject* self, void*) {
  return PyUnicode_FromString(reinterpret_cast<OpFunction*>(self)->name.c_str());
}
PyObject* op_doc(PyObject* self, void*) {
  std::string text;
  for (const Schema* s : reinterpret_cast<OpFunction*>(self)->overloads)
    text += std::string(text.empty() ? "" : "\n\n") + s->def->schema + "\n\n" + s->def->doc;
  return PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}
PyObject* op_module(PyObject*, void*) { return PyUnicode_FromString("pynn"); }
PyObject* op_reduce(PyObject* self, PyObject*) {  // pickles by its place in the package; copies are itself
  auto* f = reinterpret_cast<OpFunction*>(self);
  const std::string_view full = f->overloads[0]->def->name();
  const size_t dot = full.rfind('.');
  if (f->form == Form::Function || dot != full.npos) {
    const std::string space(full.substr(0, dot == full.npos ? 0 : dot + 1));
    return PyUnicode_FromString(("_C." + space + f->name).c_str());  // a name in pynn
  }
  Object builtins(PyImport_ImportModule("builtins"));
  Object getattr(builtins ? PyObject_GetAttrString(builtins.get(), "getattr") : nullptr);
  return getattr ? Py_BuildValue("(O(Os))", getattr.get(), TensorType, f->name.c_str()) : nullptr;
}

PyMethodDef op_methods[] = {{"__reduce__", op_reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef op_getset[] = {{"__name__", op_name, nullptr, nullptr, nullptr},
                           {"__qualname__", op_name, nullptr, nullptr, nullptr},
                           {"__doc__", op_doc, nullptr, nullptr, nullptr},
                           {"__module__", op_module, nullptr, nullptr, nullptr},
                           {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
                           {}};
PyMemberDef op_members[] = {
    {const_cast<char*>("__vectorcalloffset__"), T_PYSSIZET, offsetof(OpFunction, vectorcall), READONLY, nullptr},
    {const_cast<char*>("__dictoffset__"), T_PYSSIZET, offsetof(OpFunction, dict), READONLY, nullptr},
    {}};
PyType_Slot op_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(op_dealloc)},
                          {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                          {Py_tp_descr_get, reinterpret_cast<void*>(op_get)},
                          {Py_tp_repr, reinterpret_cast<void*>(op_repr)},
                          {Py_tp_methods, op_methods},
                          {Py_tp_getset, op_getset},
                          {Py_tp_members, op_members},
                          {0, nullptr}};
PyType_Spec op_spec = {
    "pynn._C.OpFunction", sizeof(OpFunction), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    op_slots};

}  // namespace

const Schema* only_schema(PyObject* o) {
  if (Py_TYPE(o) != OpFunctionType) return nullptr;
  const auto& overloads = reinterpret_cast<OpFunction*>(o)->overloads;
  return overloads.size() == 1 ? overloads[0] : nullptr;
}

PyObject* make_op_function(std::string name, std::vector<const Schema*> overloads, Form form) {
  auto* f =
      reinterpret_cast<OpFunction*>(checked(reinterpret_cast<PyObject*>(PyObject_New(OpFunction, OpFunctionType))));
  f->vectorcall = op_vectorcall;
  new (&f->name) std::string(std::move(name));
  new (&f->overloads) std::vector<const Schema*>(std::move(overloads));
  f->form = form;
  f->takes_out = false;
  f->dict = nullptr;
  for (const Schema* s : f->overloads) f->takes_out |= (s->def->flags & kOut) != 0;
  return reinterpret_cast<PyObject*>(f);
}

// Binds the whole registry: functions on the module (or its namespaces), methods on Tensor.
void init_op_functions(PyObject* module) {
  OpFunctionType = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&op_spec)));
  std::vector<std::pair<std::string, std::vector<const Schema*>>> names;  // in order of registration
  std::unordered_map<std::string, size_t> index;
  for (const OpDef& def : registry()) {
    const std::string name(def.name());
    const auto [it, fresh] = index.try_emplace(name, names.size());
    if (fresh) names.push_back({name, {}});
    names[it->second].second.push_back(new Schema(def));  // lives as long as the process
  }
  PyObject* type = reinterpret_cast<PyObject*>(TensorType);
  const auto put = [](PyObject* owner, const char* name, PyObject* value) {
    Object v(value);
    if (PyObject_SetAttrString(owner, name, v.get()) < 0) throw PythonError();
  };
  for (auto& [full, all] : names) {
    const size_t dot = full.rfind('.');
    const std::string name = full.substr(dot + 1);
    Object owner = Object::borrow(module);
    if (dot != full.npos) {
      const std::string space = full.substr(0, dot);
      if (!PyObject_HasAttrString(module, space.c_str())) {
        Object sub(checked(PyModule_New(("pynn._C." + space).c_str())));
        put(module, space.c_str(), Py_NewRef(sub.get()));
      }
      owner = Object(checked(PyObject_GetAttrString(module, space.c_str())));
    }
    std::vector<const Schema*> functions, methods, inplace;
    for (const Schema* s : all) {
      const uint8_t flags = s->def->flags;
      if (!(flags & kMethodOnly)) functions.push_back(s);
      if (dot == full.npos && s->self_first() && !(flags & kFunctionOnly)) methods.push_back(s);
      if (flags & (kInplace | kInplaceView)) inplace.push_back(s);
    }
    if (!functions.empty()) put(owner.get(), name.c_str(), make_op_function(name, functions, Form::Function));
    if (!methods.empty()) put(type, name.c_str(), make_op_function(name, methods, Form::Method));
    if (!inplace.empty()) {
      const std::string in = name + "_";
      const Form form = inplace[0]->def->flags & kInplaceView ? Form::InplaceView : Form::Inplace;
      if (dot == full.npos) put(type, in.c_str(), make_op_function(in, inplace, form));
      if (form == Form::InplaceView) continue;  // methods only
      if (!index.contains(full + "_")) put(owner.get(), in.c_str(), make_op_function(in, inplace, Form::Inplace));
    }
  }
}

}  // namespace pynn::python
