// bind_autograd.cpp -- backward, grad, modes and hooks. Python classes over these are in pynn/autograd.
#include <pybind11/pybind11.h>

#include "autograd/arith.h"
#include "autograd/engine.h"
#include "core/thread_state.h"
#include "python/caster.h"
#include "python/hooks.h"
#include "python/interop.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

struct Handle {
  std::function<void()> remove;
};

// Tensor.register_hook: on the leaf itself, or on the node that made the tensor.
PyObject* register_tensor_hook(const Tensor& t, py::object fn) {
  PYNN_CHECK(t.requires_grad(), "register_hook: cannot register a hook on a tensor that doesn't require gradient");
  auto kept = std::make_shared<Kept>(fn.ptr());
  TensorHook hook = [kept](const Tensor& g) -> Tensor {
    Gil gil;
    Object arg(checked(wrap(g)));
    Object r(checked(PyObject_CallOneArg(kept->get(), arg.get())));
    if (r.get() == Py_None) return {};
    const Tensor changed = tensor_arg("hook", "the result", r.get());
    PYNN_CHECK(same(changed.sizes(), g.sizes()), "hook: has changed the size of value, got ", dims_str(changed.sizes()),
               " for a gradient of ", dims_str(g.sizes()));
    PYNN_CHECK(changed.dtype() == g.dtype(), "hook: has changed the type of value, got ", dtype_name(changed.dtype()),
               " for a gradient of ", dtype_name(g.dtype()));
    return changed;
  };
  if (Ref<Node> node = autograd::grad_fn(t)) {
    const int64_t id = node->hooks().tensor.add({t.impl()->output_nr, std::move(hook)});
    return make_handle([node, id] { node->hooks().tensor.remove(id); });
  }
  const int64_t id = autograd::hooks_of(t).pre.add(std::move(hook));
  return make_handle([t, id] { autograd::hooks_of(t).pre.remove(id); });
}

PyObject* register_post_accumulate_hook(const Tensor& t, py::object fn) {
  PYNN_CHECK(t.requires_grad(),
             "register_post_accumulate_grad_hook: cannot register a hook on a tensor that doesn't require gradient");
  PYNN_CHECK(autograd::is_leaf(t),
             "register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered on non-leaf tensors");
  auto kept = std::make_shared<Kept>(fn.ptr());
  const int64_t id = autograd::hooks_of(t).post_accumulate.add([kept](const Tensor& leaf) {
    Gil gil;
    Object arg(checked(wrap(leaf)));
    Object r(checked(PyObject_CallOneArg(kept->get(), arg.get())));
    PYNN_CHECK_KIND(Type, r.get() == Py_None, "register_post_accumulate_grad_hook: a hook must return None, got ",
                    Py_TYPE(r.get())->tp_name);
  });
  return make_handle([t, id] { autograd::hooks_of(t).post_accumulate.remove(id); });
}

void retain_grad(const Tensor& t) {
  PYNN_CHECK(t.requires_grad(), "retain_grad: can't retain_grad on Tensor that has requires_grad=False");
  Ref<Node> node = autograd::grad_fn(t);
  if (!node || t.impl()->retains_grad) return;
  t.impl()->retains_grad = true;
  std::lock_guard lock(node->hooks().retain_mutex);
  node->hooks().retain.push_back({t.impl()->output_nr, t.impl()});
}

// saved_tensors_hooks with Python callables.
struct PythonSavedHooks final : SavedHooks {
  PythonSavedHooks(py::object pack, py::object unpack)
      : pack_(std::make_shared<Kept>(pack.ptr())), unpack_(std::make_shared<Kept>(unpack.ptr())) {}
  struct PythonPacked final : Packed {
    PythonPacked(PyObject* o, std::shared_ptr<Kept> unpack) : object(o), unpack_fn(std::move(unpack)) {}
    Tensor unpack() override {
      Gil gil;
      Object r(checked(PyObject_CallOneArg(unpack_fn->get(), object.get())));
      return tensor_arg("saved_tensors_hooks", "what unpack returns", r.get());
    }
    Kept object;
    std::shared_ptr<Kept> unpack_fn;
  };
  std::unique_ptr<Packed> pack(const Tensor& t) override {
    Gil gil;
    // While pack runs, what it saves is not packed again.
    SavedHooks* before = std::exchange(thread_state.saved_hooks, nullptr);
    Object arg(wrap(t));
    Object r(arg ? PyObject_CallOneArg(pack_->get(), arg.get()) : nullptr);
    thread_state.saved_hooks = before;
    if (!r) throw PythonError();
    return std::make_unique<PythonPacked>(r.get(), unpack_);
  }
  std::shared_ptr<Kept> pack_, unpack_;
};

void push_saved_hooks(py::object pack, py::object unpack) {
  auto* hooks = new PythonSavedHooks(std::move(pack), std::move(unpack));
  hooks->outer = thread_state.saved_hooks;
  thread_state.saved_hooks = hooks;
}
void pop_saved_hooks() {
  SavedHooks* top = thread_state.saved_hooks;
  PYNN_CHECK(top, "saved_tensors_hooks: no hooks to leave");
  thread_state.saved_hooks = top->outer;
  delete top;
}

std::vector<Tensor> to_vector(const py::sequence& items, const char* op) {
  std::vector<Tensor> out;
  for (py::handle o : items) out.push_back(o.is_none() ? Tensor() : tensor_arg(op, "each item", o.ptr()));
  return out;
}

void run_backward(const py::sequence& roots, const py::sequence& grads, bool keep, bool create,
                  const py::sequence& only) {
  const std::vector<Tensor> r = to_vector(roots, "backward"), g = to_vector(grads, "backward"),
                            o = to_vector(only, "backward");
  for (const Tensor& t : o) {
    PYNN_CHECK(t.requires_grad(), "backward: One of the differentiated Tensors (inputs) does not require grad");
    if (autograd::grad_fn(t)) retain_grad(t);
  }
  NoGil release;
  autograd::backward(r, g, {keep, create}, o);
}
// The usual loss.backward(): one root of one element.
void run_backward_one(const Tensor& root, bool keep, bool create) {
  PYNN_CHECK(root.requires_grad(), "backward: element 0 of tensors does not require grad and does not have a grad_fn");
  PYNN_CHECK(root.numel() == 1, "backward: grad can be implicitly created only for scalar outputs, got shape ",
             dims_str(root.sizes()));
  PYNN_CHECK(!is_complex(root.dtype()),
             "backward: grad can be implicitly created only for real scalar outputs but got ", "torch.",
             dtype_name(root.dtype()));
  NoGil release;
  const Tensor g = autograd::ones_like(root);
  autograd::backward({&root, 1}, {&g, 1}, {keep, create});
}
py::list run_grad(const py::sequence& roots, const py::sequence& grads, const py::sequence& wanted, bool keep,
                  bool create, bool allow_unused) {
  const std::vector<Tensor> r = to_vector(roots, "grad"), g = to_vector(grads, "grad"), w = to_vector(wanted, "grad");
  std::vector<Tensor> out;
  {
    NoGil release;
    out = autograd::grad(r, g, w, {keep, create}, allow_unused);
  }
  py::list list;
  for (const Tensor& t : out) list.append(py::reinterpret_steal<py::object>(wrap(t)));
  return list;
}

std::string python_traceback() {
  Gil gil;
  Object module(PyImport_ImportModule("traceback"));
  Object lines(module ? PyObject_CallMethod(module.get(), "format_stack", nullptr) : nullptr);
  Object empty(PyUnicode_FromString(""));
  Object text(lines && empty ? PyUnicode_Join(empty.get(), lines.get()) : nullptr);
  const char* s = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (!s) PyErr_Clear();
  return s ? s : "";
}
void warn_anomaly(const Node& node) {
  Gil gil;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  const std::string text =
      "Error detected in " + node.name() +
      (node.made_at.empty() ? ". No forward pass information available. Enable detect anomaly during "
                              "forward pass for more information."
                            : ". Traceback of forward call that caused the error:\n" + node.made_at);
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) PyErr_Clear();
  PyErr_Restore(type, value, trace);
}

PyObject* make_subclass(py::type cls, const Tensor& data, bool requires_grad) {
  auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
  PYNN_CHECK_KIND(Type, PyType_IsSubtype(type, TensorType), "_make_subclass: a subclass of Tensor is required, got ",
                  type->tp_name);
  Tensor t = alias(data);
  if (requires_grad) set_requires_grad(t, true);
  return checked(wrap_as(type, std::move(t)));
}

}  // namespace

PyObject* make_handle(std::function<void()> remove) { return py::cast(Handle{std::move(remove)}).release().ptr(); }

void init_autograd(PyObject* m) {
  auto module = py::reinterpret_borrow<py::module_>(m);
  autograd::capture_traceback = python_traceback;
  autograd::report_anomaly = warn_anomaly;
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      std::rethrow_exception(p);
    } catch (const Error&) {
      set_error();
    } catch (const PythonError&) {
      set_error();
    }
  });

  py::class_<Handle>(module, "RemovableHandle", "Takes a hook back: remove(), or leaving a with block.")
      .def("remove",
           [](Handle& h) {
             if (auto f = std::exchange(h.remove, nullptr)) f();
           })
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](Handle& h, py::args) {
        if (auto f = std::exchange(h.remove, nullptr)) f();
      });

  module.def("_backward", run_backward);
  module.def("_backward_one", run_backward_one);
  module.def("_grad", run_grad);
  module.def("_register_hook", [](const Tensor& t, py::object f) {
    return py::reinterpret_steal<py::object>(register_tensor_hook(t, f));
  });
  module.def("_register_post_accumulate_grad_hook", [](const Tensor& t, py::object f) {
    return py::reinterpret_steal<py::object>(register_post_accumulate_hook(t, f));
  });
  module.def("_retain_grad", retain_grad);
  module.def("_detach_", [](const Tensor& t) {
    PYNN_CHECK(!t.impl()->base, "detach_: Can't detach views in-place. Use detach() instead.");
    t.impl()->grad_fn.reset();
    t.impl()->requires_grad = false;
    return t;
  });
  module.def(
      "_requires_grad_",
      [](const Tensor& t, bool on) {
        set_requires_grad(t, on);
        return t;
      },
      py::arg("tensor"), py::arg("requires_grad") = true);
  module.def(
      "_make_subclass",
      [](py::type cls, const Tensor& t, bool r) { return py::reinterpret_steal<py::object>(make_subclass(cls, t, r)); },
      py::arg("cls"), py::arg("data"), py::arg("requires_grad") = false);
  module.def("_push_saved_hooks", push_saved_hooks);
  module.def("_pop_saved_hooks", pop_saved_hooks);

  module.def("is_grad_enabled", [] { return thread_state.grad_enabled; }, "Whether ops are recorded in this thread.");
  module.def("_set_grad_enabled", [](bool on) { return std::exchange(thread_state.grad_enabled, on); });
  module.def(
      "is_inference_mode_enabled", [] { return thread_state.inference; },
      "Whether inference_mode is on in this thread.");
  module.def("_set_inference", [](bool on) { return std::exchange(thread_state.inference, on); });
  module.def("_set_anomaly", [](bool on, bool check_nan) {
    const auto before = std::pair(thread_state.anomaly, thread_state.anomaly_check_nan);
    thread_state.anomaly = on;
    thread_state.anomaly_check_nan = check_nan;
    return before;
  });
  module.def(
      "is_anomaly_enabled", [] { return thread_state.anomaly; }, "Whether anomaly detection is on in this thread.");
  module.def(
      "is_anomaly_check_nan_enabled", [] { return thread_state.anomaly_check_nan; },
      "Whether anomaly detection looks for NaN.");
  module.def("_is_inference", [](const Tensor& t) { return t.impl()->inference; });
}

}  // namespace pynn::python
