// node_type.cpp -- grad_fn objects: name(), next_functions, hooks. The types are made per op name at first use, so that
// type(y.grad_fn).__name__ is "MulBackward0".
#include "python/node_type.h"

#include <map>

#include "autograd/engine.h"
#include "python/hooks.h"

namespace pynn::python {
namespace {

struct PyNode {
  PyObject_HEAD Ref<Node> node;
};
PyTypeObject* NodeType;

Node& node_of(PyObject* o) { return *reinterpret_cast<PyNode*>(o)->node; }

void node_dealloc(PyObject* self) {
  auto* o = reinterpret_cast<PyNode*>(self);
  PyTypeObject* type = Py_TYPE(self);
  if (o->node) o->node->pyobject = nullptr;
  o->node.~Ref();
  type->tp_free(self);
  Py_DECREF(type);
}
PyObject* node_repr(PyObject* self) {
  return PyUnicode_FromFormat("<%s object at %p>", node_of(self).name().c_str(), static_cast<void*>(&node_of(self)));
}
PyObject* node_name(PyObject* self, PyObject*) { return PyUnicode_FromString(node_of(self).name().c_str()); }
PyObject* node_next(PyObject* self, void*) {
  return guard([&]() -> PyObject* {
    Node& n = node_of(self);
    Object out(checked(PyTuple_New(static_cast<Py_ssize_t>(n.edges.size()))));
    for (size_t i = 0; i < n.edges.size(); ++i) {
      Object target(checked(wrap_node(n.edges[i].node)));
      PyTuple_SET_ITEM(out.get(), i, checked(Py_BuildValue("(OI)", target.get(), n.edges[i].input_nr)));
    }
    return out.release();
  });
}
PyObject* node_variable(PyObject* self, void*) {
  return guard([&]() -> PyObject* {
    const Tensor leaf = node_of(self).leaf();
    if (!leaf.defined()) {
      PyErr_SetString(PyExc_AttributeError, "variable: only AccumulateGrad nodes have one");
      return nullptr;
    }
    return wrap(leaf);
  });
}
PyObject* node_sequence(PyObject* self, PyObject*) { return PyLong_FromUnsignedLongLong(node_of(self).sequence); }

std::vector<Tensor> tensors_from(PyObject* o, const std::vector<Tensor>& keep) {
  // A hook's answer: None keeps what there was; a tensor stands for a tuple of one.
  if (o == Py_None) return {};
  PYNN_CHECK_KIND(Type, is_tensor(o) || PyTuple_Check(o) || PyList_Check(o),
                  "hook: gradients or None are required, got ", Py_TYPE(o)->tp_name);
  Object items(is_tensor(o) ? PyTuple_Pack(1, o) : PySequence_Tuple(o));
  if (!items) throw PythonError();
  PYNN_CHECK(PyTuple_GET_SIZE(items.get()) == static_cast<Py_ssize_t>(keep.size()), "hook: returned ",
             PyTuple_GET_SIZE(items.get()), " gradients, expected ", keep.size());
  std::vector<Tensor> out;
  for (size_t i = 0; i < keep.size(); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), i);
    out.push_back(item == Py_None ? Tensor() : tensor_arg("hook", "each result", item));
  }
  return out;
}

PyObject* node_register_hook(PyObject* self, PyObject* fn) {
  return guard([&]() -> PyObject* {
    auto kept = std::make_shared<Kept>(fn);
    const Ref<Node> node = reinterpret_cast<PyNode*>(self)->node;
    const int64_t id = node->hooks().post.add([kept](const std::vector<Tensor>& in, const std::vector<Tensor>& out) {
      Gil gil;
      Object a = wrap_list(in), b = wrap_list(out);
      Object r(checked(PyObject_CallFunctionObjArgs(kept->get(), a.get(), b.get(), nullptr)));
      return tensors_from(r.get(), in);
    });
    return make_handle([node, id] { node->hooks().post.remove(id); });
  });
}
PyObject* node_register_prehook(PyObject* self, PyObject* fn) {
  return guard([&]() -> PyObject* {
    auto kept = std::make_shared<Kept>(fn);
    const Ref<Node> node = reinterpret_cast<PyNode*>(self)->node;
    const int64_t id = node->hooks().pre.add([kept](const std::vector<Tensor>& out) {
      Gil gil;
      Object a = wrap_list(out);
      Object r(checked(PyObject_CallOneArg(kept->get(), a.get())));
      return tensors_from(r.get(), out);
    });
    return make_handle([node, id] { node->hooks().pre.remove(id); });
  });
}

// The node of a custom Function also answers for its ctx.
PyObject* node_getattro(PyObject* self, PyObject* name) {
  PyObject* found = PyObject_GenericGetAttr(self, name);
  if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
  PyObject* ctx = function_context(&node_of(self));
  if (!ctx) return nullptr;
  PyErr_Clear();
  return PyObject_GetAttr(ctx, name);
}

PyMethodDef methods[] = {
    {"name", node_name, METH_NOARGS, "The node's name, such as MulBackward0."},
    {"register_hook", node_register_hook, METH_O, "Calls fn(grad_inputs, grad_outputs) after the node ran."},
    {"register_prehook", node_register_prehook, METH_O, "Calls fn(grad_outputs) before the node runs."},
    {"_sequence_nr", node_sequence, METH_NOARGS, "The node's number; later ones run first."},
    {}};
PyGetSetDef getset[] = {
    {"next_functions", node_next, nullptr, "The nodes that this one feeds, with their input numbers.", nullptr},
    {"variable", node_variable, nullptr, "The leaf of an AccumulateGrad node.", nullptr},
    {}};
PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
                       {Py_tp_repr, reinterpret_cast<void*>(node_repr)},
                       {Py_tp_getattro, reinterpret_cast<void*>(node_getattro)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, getset},
                       {Py_tp_doc, const_cast<char*>("A step of the recorded graph.")},
                       {0, nullptr}};
PyType_Spec spec = {"pynn.autograd.graph.Node", sizeof(PyNode), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

// A subclass named after the op.
PyTypeObject* type_named(const std::string& name) {
  static auto& types = *new std::map<std::string, PyTypeObject*>;
  PyTypeObject*& type = types[name];
  if (!type) {
    PyType_Slot none[] = {{0, nullptr}};
    const auto* kept = new std::string("pynn.autograd." + name);  // the type points to it for good
    PyType_Spec sub = {kept->c_str(), 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, none};
    Object bases(checked(PyTuple_Pack(1, NodeType)));
    type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpecWithBases(&sub, bases.get())));
  }
  return type;
}

}  // namespace

PyObject* wrap_node(const Ref<Node>& node) {
  if (!node) Py_RETURN_NONE;
  if (node->pyobject) return Py_NewRef(static_cast<PyObject*>(node->pyobject));
  PyTypeObject* type = type_named(node->name());
  auto* o = reinterpret_cast<PyNode*>(checked(type->tp_alloc(type, 0)));
  new (&o->node) Ref<Node>(node);
  node->pyobject = o;
  return reinterpret_cast<PyObject*>(o);
}

Ref<Node> node_arg(PyObject* o) {
  if (!PyObject_TypeCheck(o, NodeType)) return {};
  return reinterpret_cast<PyNode*>(o)->node;
}

void init_node_type(PyObject* module) {
  NodeType = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
  PyModule_AddObjectRef(module, "_Node", reinterpret_cast<PyObject*>(NodeType));
}

}  // namespace pynn::python
