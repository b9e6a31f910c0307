// bind_function.cpp -- custom autograd.Functions: a node whose backward is a Python staticmethod.
#include <pybind11/pybind11.h>

#include "autograd/arith.h"
#include "autograd/record.h"
#include "python/caster.h"
#include "python/hooks.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

// What ctx's Python side knows (pynn/autograd/function.py): to_save, dirty, non_differentiable, materialize_grads.
struct NodeLink;

class FunctionNode final : public Node {
 public:
  FunctionNode(PyObject* cls, PyObject* ctx, std::string name)
      : Node("function"), cls_(cls), ctx_(ctx), name_(std::move(name)) {}
  ~FunctionNode() override;
  std::string name() const override { return name_; }

  Gradients apply(Gradients& grads) override {
    Gil gil;
    Object args(checked(PyTuple_New(static_cast<Py_ssize_t>(grads.size() + 1))));
    PyTuple_SET_ITEM(args.get(), 0, Py_NewRef(ctx_.get()));
    for (size_t i = 0; i < grads.size(); ++i) {
      Tensor g = grads[i];
      if (!g.defined() && materialize_ && output(i).defined) g = autograd::zeros_for(output(i));
      PyTuple_SET_ITEM(args.get(), i + 1, checked(wrap(g)));
    }
    Object backward(checked(PyObject_GetAttrString(cls_.get(), "backward")));
    Object result(checked(PyObject_Call(backward.get(), args.get(), nullptr)));
    if (!PyTuple_Check(result.get())) result = Object(checked(PyTuple_Pack(1, result.get())));
    const Py_ssize_t got = PyTuple_GET_SIZE(result.get()), want = static_cast<Py_ssize_t>(is_tensor_.size());
    for (Py_ssize_t i = want; i < got; ++i)
      PYNN_CHECK(PyTuple_GET_ITEM(result.get(), i) == Py_None, "function ", name_,
                 " returned an incorrect number of gradients (expected ", want, ", got ", got, ")");
    PYNN_CHECK(got >= want, "function ", name_, " returned an incorrect number of gradients (expected ", want, ", got ",
               got, ")");
    Gradients out;
    for (Py_ssize_t i = 0; i < want; ++i) {
      PyObject* g = PyTuple_GET_ITEM(result.get(), i);
      if (!is_tensor_[i]) {
        PYNN_CHECK(g == Py_None, "function ", name_, " returned a gradient different from None at position ", i + 1,
                   ", but the corresponding forward input was not a Variable");
        continue;
      }
      if (g != Py_None && !is_tensor(g))
        fail(ErrorKind::Runtime, "function ", name_, ": expected Variable or None (got ", Py_TYPE(g)->tp_name,
             ") at position ", i + 1);
      out.push_back(g == Py_None || !needs(out.size()) ? Tensor() : tensor_of(g));
    }
    return out;
  }
  void release_saved() override {
    Gil gil;  // another thread may be reading ctx.saved_tensors
    saved_.clear();
    released_ = true;
  }

  Object saved() const {
    if (released_) detail::released_error(this);
    Object out(checked(PyTuple_New(static_cast<Py_ssize_t>(saved_.size()))));
    for (size_t i = 0; i < saved_.size(); ++i) PyTuple_SET_ITEM(out.get(), i, checked(wrap(saved_[i].get(this))));
    return out;
  }
  void set_inputs(std::vector<bool> is_tensor) { is_tensor_ = std::move(is_tensor); }
  void keep(const Tensor& t) { saved_.emplace_back(t, this); }
  void set_materialize(bool on) { materialize_ = on; }
  PyObject* ctx() const { return ctx_.get(); }
  std::shared_ptr<NodeLink> link;

 private:
  Kept cls_, ctx_;
  std::string name_;
  std::vector<bool> is_tensor_;  // per argument of forward
  std::vector<Saved> saved_;
  bool materialize_ = true, released_ = false;
};

// ctx's hold on its node: weak, since the node holds ctx.
struct NodeLink {
  FunctionNode* node = nullptr;
  bool had_node = false;
  std::vector<Tensor> plain;  // saved tensors when there is no node
};
FunctionNode::~FunctionNode() {
  if (!link) return;
  Gil gil;
  link->node = nullptr;
}

bool contains(const Object& list, PyObject* item) {
  if (!list || list.get() == Py_None) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i)
    if (PySequence_Fast_GET_ITEM(list.get(), i) == item) return true;
  return false;
}
Object attr_list(PyObject* ctx, const char* name) {
  Object o(checked(PyObject_GetAttrString(ctx, name)));
  return o.get() == Py_None ? Object::borrow(Py_None) : Object(checked(PySequence_Tuple(o.get())));
}

// One output of forward: given its place in the graph.
Object finish_output(PyObject* o, const Ref<FunctionNode>& node, bool graph, bool is_input, bool dirty,
                     bool differentiable) {
  const Tensor& t = tensor_of(o);
  if (dirty) autograd::bump_version(t);
  if (!graph || !differentiable || !(is_floating(t.dtype()) || is_complex(t.dtype()))) {
    if (graph) node->add_output(t);  // keeps the numbering: its gradient never comes
    if (is_input && !dirty) return Object(checked(wrap(alias(t))));
    return Object::borrow(o);
  }
  if (dirty && is_input) {
    autograd::rebase_history(t, node);
    return Object::borrow(o);
  }
  if (is_input || t.impl()->requires_grad || t.impl()->grad_fn) {  // handed through: a tensor of its own
    Tensor y = alias(t);
    autograd::set_history(y, node);
    return Object(checked(wrap(std::move(y))));
  }
  autograd::set_history(t, node);
  return Object::borrow(o);
}

py::object apply(py::object cls, py::object ctx, py::tuple args, const std::string& name, bool separate_setup) {
  std::vector<Tensor> tensors;
  std::vector<bool> is_input;
  bool graph = false;
  py::tuple needs(args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    PyObject* a = args[i].ptr();
    const bool t = is_tensor(a), need = t && tensor_of(a).requires_grad();
    is_input.push_back(t);
    if (t) tensors.push_back(tensor_of(a));
    graph |= need;
    needs[i] = py::bool_(need);
  }
  graph &= thread_state.grad_enabled;
  ctx.attr("needs_input_grad") = needs;

  py::object result;
  {
    GradMode off(false);
    if (separate_setup) {
      result = cls.attr("forward")(*args);
      cls.attr("setup_context")(ctx, args, result);
    } else {
      result = cls.attr("forward")(ctx, *args);
    }
  }

  auto node = make_ref<FunctionNode>(cls.ptr(), ctx.ptr(), name);
  node->set_inputs(is_input);
  node->set_materialize(ctx.attr("_materialize_grads").cast<bool>());
  Object dirty = attr_list(ctx.ptr(), "_dirty"), fixed = attr_list(ctx.ptr(), "_non_differentiable");
  for (Py_ssize_t i = 0; dirty.get() != Py_None && i < PyTuple_GET_SIZE(dirty.get()); ++i)
    tensor_arg("mark_dirty", "each argument", PyTuple_GET_ITEM(dirty.get(), i));
  if (graph) {
    if (dirty.get() != Py_None)
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(dirty.get()); ++i)
        autograd::check_inplace(name.c_str(), tensor_of(PyTuple_GET_ITEM(dirty.get(), i)));
    for (const Tensor& t : tensors) node->edges.push_back(autograd::needs_graph(t) ? autograd::edge_of(t) : Edge{});
    autograd::seal(*node);
  }

  const bool single = !PyTuple_Check(result.ptr());
  Object outs(single ? PyTuple_Pack(1, result.ptr()) : Py_NewRef(result.ptr()));
  Object finished(checked(PyTuple_New(PyTuple_GET_SIZE(outs.get()))));
  for (Py_ssize_t i = 0; dirty.get() != Py_None && i < PyTuple_GET_SIZE(dirty.get()); ++i)
    PYNN_CHECK(contains(outs, PyTuple_GET_ITEM(dirty.get(), i)), name,
               ": mark_dirty: inputs that are written to must be returned, got a result without argument ", i,
               " of mark_dirty");
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(outs.get()); ++i) {
    PyObject* o = PyTuple_GET_ITEM(outs.get(), i);
    Object out = Object::borrow(o);
    if (is_tensor(o)) {
      bool input = false;
      for (const Tensor& t : tensors) input |= t.impl() == tensor_of(o).impl();
      out = finish_output(o, node, graph, input, contains(dirty, o), !contains(fixed, o));
    } else {
      if (graph) node->add_no_output();
    }
    PyTuple_SET_ITEM(finished.get(), i, out.release());
  }

  // Saved tensors: outputs are saved as what they have become.
  auto link = std::make_shared<NodeLink>();
  Object saved = attr_list(ctx.ptr(), "_to_save");
  for (Py_ssize_t i = 0; saved.get() != Py_None && i < PyTuple_GET_SIZE(saved.get()); ++i) {
    PyObject* o = PyTuple_GET_ITEM(saved.get(), i);
    const Tensor t = o == Py_None ? Tensor() : tensor_arg("save_for_backward", "each argument", o);
    if (graph) {
      node->keep(t);
    } else {
      link->plain.push_back(t);
    }
  }
  if (graph) {
    link->node = node.get();
    link->had_node = true;
    node->link = link;
  }
  ctx.attr("_to_save") = py::none();
  ctx.attr("_node") = py::cast(link);
  PyObject* r = single ? Py_NewRef(PyTuple_GET_ITEM(finished.get(), 0)) : finished.release();
  return py::reinterpret_steal<py::object>(r);
}

}  // namespace

PyObject* function_context(Node* node) {
  auto* f = dynamic_cast<FunctionNode*>(node);
  return f ? f->ctx() : nullptr;
}

void init_function(PyObject* m) {
  auto module = py::reinterpret_borrow<py::module_>(m);
  py::class_<NodeLink, std::shared_ptr<NodeLink>>(module, "_NodeLink")
      .def_property_readonly("saved_tensors", [](const NodeLink& l) {
        PYNN_CHECK(l.node || !l.had_node, "saved_tensors: the graph that held them is gone");
        Object out = l.node ? l.node->saved() : wrap_list(l.plain);
        return py::reinterpret_steal<py::object>(out.release());
      });
  module.def("_function_apply", apply);
}

}  // namespace pynn::python
