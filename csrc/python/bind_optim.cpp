// bind_optim.cpp -- one native call per parameter group: what an optimiser's step reads of its Python state is gathered
// here, since a loop in Python costs more than the step of a small parameter.
#include "python/arguments.h"
#include "python/fastcall.h"
#include "python/hooks.h"

namespace pynn::python {
namespace {

// Note [Gathering]
// Nothing is cached between steps: programs replace parameters, gradients and state entries, and the next step must see
// it. The state of a parameter that lacks an entry comes from `start` and is stored once the step has succeeded, so
// that a failing step leaves none.
class Gathered {
 public:
  Gathered(PyObject* state, PyObject* keys, PyObject* start) : state_(state), keys_(keys), start_(start) {
    for (Py_ssize_t k = 0; k < nkeys(); ++k) any_ |= PyTuple_GET_ITEM(keys, k) != Py_None;
  }

  void gather(PyObject* params, Frame& f) {
    for (int k = 0; k < lists(); ++k) f.tensors[k].reserve(static_cast<size_t>(PyList_GET_SIZE(params)));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(params); ++i) {  // asked anew: `start` is Python code
      PyObject* p = PyList_GET_ITEM(params, i);
      if (!is_tensor(p)) fail(ErrorKind::Type, "step: params must hold Tensors, got ", Py_TYPE(p)->tp_name);
      const Tensor& param = tensor_of(p);
      if (!param.impl()->grad) continue;
      f.tensors[0].push_back(param);
      f.tensors[1].emplace_back(param.impl()->grad);
      if (any_) gather_state(p, f);
    }
  }
  // Stores the fresh states.
  void keep() {
    for (const auto& [p, entries] : fresh_) {
      PyObject* entry = PyDict_GetItemWithError(state_, p.get());
      if (!entry && PyErr_Occurred()) throw PythonError();
      if (entry && PyDict_Check(entry) ? PyDict_Update(entry, entries.get()) < 0
                                       : PyDict_SetItem(state_, p.get(), entries.get()) < 0)
        throw PythonError();
    }
  }
  int lists() const { return 2 + static_cast<int>(nkeys()); }

 private:
  Py_ssize_t nkeys() const { return PyTuple_GET_SIZE(keys_); }

  // All entries of the dict into their lists; false, and nothing added, if one is missing or None.
  bool read(PyObject* entry, Frame& f) {
    const Py_ssize_t n = nkeys();
    PyObject* found[4];
    for (Py_ssize_t k = 0; k < n; ++k) {
      PyObject* key = PyTuple_GET_ITEM(keys_, k);
      found[k] = nullptr;
      if (key == Py_None) continue;  // a list that this step does without
      found[k] = PyDict_GetItemWithError(entry, key);
      if (!found[k] && PyErr_Occurred()) throw PythonError();
      if (!found[k] || found[k] == Py_None) return false;
      if (!is_tensor(found[k]))
        fail(ErrorKind::Type, "step: state['", PyUnicode_AsUTF8(key), "'] must be a Tensor, got ",
             Py_TYPE(found[k])->tp_name);
    }
    for (Py_ssize_t k = 0; k < n; ++k)
      if (found[k]) f.tensors[2 + k].push_back(tensor_of(found[k]));
    return true;
  }

  void gather_state(PyObject* p, Frame& f) {
    PyObject* entry = PyDict_GetItemWithError(state_, p);
    if (!entry && PyErr_Occurred()) throw PythonError();
    const bool old = entry && PyDict_Check(entry) && read(entry, f);
    f.ints[0].push_back(old);
    if (old) return;
    Object param = Object::borrow(p);
    Object before(entry ? Py_NewRef(entry) : checked(PyDict_New()));
    Object entries(checked(PyObject_CallFunctionObjArgs(start_, p, before.get(), nullptr)));
    if (!PyDict_Check(entries.get()) || !read(entries.get(), f))
      fail(ErrorKind::Type, "step: what starts a parameter's state must return all of its entries");
    fresh_.emplace_back(std::move(param), std::move(entries));
  }

  PyObject *state_, *keys_, *start_;
  bool any_ = false;  // a key that is not None
  std::vector<std::pair<Object, Object>> fresh_;
};

// _optim_step(op, params, state, keys, start, *options): calls `op` with the parameters that have a gradient, the
// gradients, a list for each of the keys (of state[p][key]; empty for a key None), which states are old (if the op asks
// for ints next), and the options. start(p, state[p]) makes the entries that a parameter lacks.
PyObject* optim_step(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  return guard([&]() -> PyObject* {
    if (nargs < 5) fail(ErrorKind::Type, "_optim_step: 5 arguments or more are required, got ", nargs);
    const Schema* s = only_schema(args[0]);
    if (!s || !PyList_Check(args[1]) || !PyDict_Check(args[2]) || !PyTuple_Check(args[3]) ||
        PyTuple_GET_SIZE(args[3]) > 4)
      fail(ErrorKind::Type, "_optim_step: an op, a list, a dict and a tuple of at most 4 keys are required");
    Frame f;
    Gathered g(args[2], args[3], args[4]);
    g.gather(args[1], f);
    if (f.tensors[0].empty()) Py_RETURN_NONE;
    size_t at = 0;
    for (; at < static_cast<size_t>(g.lists()) && at < s->params.size(); ++at) {
      f.values[at].given = Kind::Tensors;
      f.values[at].tensors = f.tensors[at];
    }
    if (at < s->params.size() && s->params[at]->kind == Kind::Ints) {
      f.values[at].given = Kind::Ints;
      f.values[at].ints = Dims(f.ints[0].data(), f.ints[0].size());
      ++at;
    }
    if (s->params.size() - at != static_cast<size_t>(nargs - 5))
      fail(ErrorKind::Type, s->name, ": ", s->params.size() - at, " options are required, got ", nargs - 5);
    f.nints = 1;
    for (size_t k = 0; at < s->params.size(); ++at, ++k)
      if (!parse_value(*s->params[at], args[5 + k], f, f.values[at]))
        fail(ErrorKind::Type, s->name, "(): '", s->params[at]->name, "' must be ", kind_name(s->params[at]->kind),
             ", not ", Py_TYPE(args[5 + k])->tp_name);
    Result r;
    call_op(*s->def, f.values, r);
    g.keep();
    Py_RETURN_NONE;
  });
}

// _drop_grads(params): every .grad becomes None.
PyObject* drop_grads(PyObject*, PyObject* params) {
  return guard([&]() -> PyObject* {
    if (!PyList_Check(params)) fail(ErrorKind::Type, "zero_grad: params must be a list");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(params); ++i)
      if (PyObject* p = PyList_GET_ITEM(params, i); is_tensor(p)) tensor_of(p).impl()->grad.reset();
    Py_RETURN_NONE;
  });
}

}  // namespace

void init_optim(PyObject* module) {
  static PyMethodDef functions[] = {
      {"_optim_step", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(optim_step)), METH_FASTCALL, nullptr},
      {"_drop_grads", drop_grads, METH_O, nullptr},
      {}};
  add_functions(module, functions);
}

}  // namespace pynn::python
